import { markdownTable } from './markdown.js';

/** One model as its diagnostics describe it; null where a figure was not taken. */
export interface DiagnosedModel {
  id: string;
  /** Mean cosine of two atoms' embeddings, and the two-neighbour dimension. */
  meanCosine: number | null;
  intrinsicDimension: number | null;
  /** Largest change of an embedding, in units of their root mean square, by rotation and by inversion. */
  rotation: number | null;
  inversion: number | null;
  /** Mean reciprocal rank of embedding arithmetic: offsets of the model, no change, the mean of B's composition. */
  arithmetic: { offset: number; noChange: number; composition: number } | null;
}

/** How well scores of atypicality rank the errors of a model against a label. */
export interface JudgedModel {
  model: string;
  label: string;
  structures: number;
  /** eV per atom. */
  meanError: number;
  /** Spearman's correlation with the error by score, with its interval where there are formulas enough; a row for each other model. */
  correlations: readonly { score: string; value: number; low: number | null; high: number | null }[];
}

/** What the card says of diagnostics. */
export interface DiagnosticFindings {
  models: readonly DiagnosedModel[];
  /** Mean reciprocal rank of offsets of one-hot element vectors, the same for every model; null without pairs. */
  oneHot: number | null;
  judged: readonly JudgedModel[];
  warnings: readonly string[];
  /** Tables that are there. */
  tables: readonly string[];
}

/** The section of the dataset card about diagnostics; nothing where there are none. */
export function diagnosticsSection({ models, oneHot, judged, warnings, tables }: DiagnosticFindings): string {
  if (tables.length === 0) return '';
  const shown = (value: number | null, digits = 2) => (value === null ? '' : value.toFixed(digits));
  const change = (value: number | null) => (value === null ? '' : value.toExponential(1));
  const arithmetic = models.filter(({ arithmetic: own }) => own !== null);
  const parts = [
    `## Diagnostics

${markdownTable(
  ['model', 'mean cosine', 'intrinsic dimension', 'changed by rotation', 'changed by inversion'],
  models.map(({ id, meanCosine, intrinsicDimension, rotation, inversion }) => [
    `\`${id}\``,
    shown(meanCosine),
    shown(intrinsicDimension, 1),
    change(rotation),
    change(inversion),
  ]),
)}

Changes are the largest of any atom, in units of the root mean square of the embeddings, measured by running the network.`,
  ];
  if (arithmetic.length > 0)
    parts.push(`Embedding arithmetic (A + x (g(K) - g(Na)) -> B; mean reciprocal rank of B, coordinates). **Success measures compositional linearity, not
learned chemistry**: one-hot vectors of the elements, which know nothing but the composition, reach ${shown(oneHot)} on the same pairs.

${markdownTable(
  ['model', 'its offsets', 'no change', "mean of B's composition", 'one-hot offsets'],
  arithmetic.map(({ id, arithmetic: own }) => [
    `\`${id}\``,
    shown(own!.offset),
    shown(own!.noChange),
    shown(own!.composition),
    shown(oneHot),
  ]),
)}`);
  if (tables.includes('atypical'))
    parts.push(
      'Table `atypical` ranks atoms and structures by how unusual they are. Its scores are no error bars; the plain variance of ' +
        'coordinates over models, in particular, says nothing about errors, which is why they are standardised first.',
    );
  if (judged.length > 0) parts.push(judgedPart(judged));
  if (tables.includes('stitching'))
    parts.push(
      'Table `stitching` gives every error beside its bounds: the native head, the mean of the targets, composition alone, shuffled anchors.',
    );
  if (warnings.length > 0) parts.push(['Warnings:', '', ...warnings.map((warning) => `- ${warning}`)].join('\n'));
  return `${parts.join('\n\n')}\n\n`;
}

const SCORES = {
  novelty: 'novelty',
  anchor_cosine: 'anchor cosine',
  disagreement: 'disagreement',
  energy_gap: 'energy gap',
  n_atoms: 'atoms',
  element_rarity: 'rarity of elements',
  composition_distance: 'distance of composition',
};

function judgedPart(judged: readonly JudgedModel[]): string {
  return `How well the scores rank the errors |energy - label| per atom of all structures with the label (Spearman's correlation, 95 % interval over formulas; 0
is chance; table \`error_prediction\` has AUROC and every source). The energy gap is that to each other model judged by the label; the last three
columns know nothing of a model: a score that does not beat them tells nothing new. That the energies are comparable with the label is the word of whoever
wrote the run spec.

${markdownTable(
  ['model', 'label', 'structures', 'mean error (meV)', ...Object.values(SCORES)],
  judged.map(({ model, label, structures, meanError, correlations }) => [
    `\`${model}\``,
    label,
    String(structures),
    (1000 * meanError).toFixed(1),
    ...Object.keys(SCORES).map((name) =>
      correlations
        .filter(({ score }) => score === name)
        .map(({ value, low, high }) =>
          low === null || high === null
            ? value.toFixed(2)
            : `${value.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`,
        )
        .join('; '),
    ),
  ]),
)}`;
}
