/** One line of `koine doctor`. */
export interface Check {
  name: string;
  /** `missing`: koine can't do its work without it; `warn`: something is slower, unavailable or worth knowing. */
  ok: 'ok' | 'warn' | 'missing';
  /** What is there, in words. */
  detail: string;
  /** What to do about it; empty when `ok`. */
  mend: string;
}

/** A check before it has a name. */
export type Finding = Omit<Check, 'name'>;

/** Builds a finding. */
export function finding(ok: Check['ok'], detail: string, mend = ''): Finding {
  return { ok, detail, mend };
}
