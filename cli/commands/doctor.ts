import { loadClientConnectConfig } from '@temporalio/envconfig';
import { EXIT } from '../../config/names.js';
import { settingsReference } from '../../config/settings.js';
import { openStore } from '../../datasets/store/open.js';
import { probeConditionalWrites } from '../../datasets/store/probe.js';
import { finding, type Finding } from '../../infra/check.js';
import { diagnose } from '../../infra/doctor.js';
import { openModels } from '../../workers/dependencies.js';
import type { Context } from '../context.js';
import { formatAmount, formatTable } from '../format.js';

/** Options of `koine doctor`. */
export interface DoctorOptions {
  json?: boolean;
  output?: string;
  store?: string[];
}

/** `koine doctor`: what is there, what is missing, and the mend of each. Exit code 1 when something is missing. */
export async function doctor(context: Context, options: DoctorOptions): Promise<number> {
  const settings = context.settings();
  const { address } = settings.embedded ? {} : loadClientConnectConfig().connectionOptions;
  const probes: Record<string, () => Promise<Finding>> = {};
  if (options.output) probes[`output ${options.output}`] = () => probeOutput(options.output as string);
  for (const location of options.store ?? [])
    probes[`models ${location}`] = async () => {
      const models = await openModels(settings, [location]).list();
      const refused = models.flatMap((model) => ('refused' in model ? [model.refused] : []));
      if (models.length === 0)
        return finding(
          'missing',
          'no models',
          'give a folder or s3:// prefix that holds <id>/model.onnx and <id>/card.json',
        );
      const found = formatAmount(models.length, 'model');
      return refused.length === 0
        ? finding('ok', found)
        : finding('warn', `${found}, ${refused.length} of them refused: ${refused.join('; ')}`, 'mend or remove them');
    };
  const checks = await diagnose({
    cacheDir: settings.cacheDir,
    stateDir: settings.stateDir,
    ...(address ? { temporalAddress: address } : {}),
    probes,
  });
  const missing = checks.filter(({ ok }) => ok === 'missing');
  if (options.json) {
    context.console.answer(JSON.stringify({ ok: missing.length === 0, checks, settings: settingsReference() }));
  } else {
    for (const line of formatTable(
      ['', 'what', 'found'],
      checks.flatMap(({ name, ok, detail, mend }) => [
        [ok, name, detail],
        ...(ok !== 'ok' && mend ? [['', '', `-> ${mend}`]] : []),
      ]),
    ))
      context.console.answer(line);
    context.console.answer('');
    for (const line of formatTable(
      ['environment', 'meaning'],
      settingsReference().map(({ name, meaning }) => [name, meaning]),
    ))
      context.console.answer(line);
    if (missing.length > 0)
      context.console.say(`${missing.length} missing: ${missing.map(({ name }) => name).join(', ')}`);
  }
  return missing.length === 0 ? EXIT.done : EXIT.failed;
}

/** Reads the store: credentials, endpoint and bucket are tried. On S3 an object is written and removed too, to see conditional writes. */
async function probeOutput(url: string): Promise<Finding> {
  const store = openStore(url);
  const wrong = url.startsWith('s3://') ? await probeConditionalWrites(store) : undefined;
  if (wrong)
    return finding('missing', `${store.url}: ${wrong}`, 'choose a server, or a version of it, with conditional writes');
  for await (const { key } of store.list('')) return finding('ok', `${store.url} answers, it holds e.g. ${key}`);
  return finding('ok', `${store.url} answers, it is empty`);
}
