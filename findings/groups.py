"""What is known of the potentials of findings.yaml, and how two of them are related."""

from itertools import combinations

# Family and training data, as models/catalog.json and the models' cards have them.
FACTS = {
    "chgnet-0.2.0": ("CHGNet", "MPtrj"),
    "chgnet-0.3.0": ("CHGNet", "MPtrj"),
    "chgnet-r2scan": ("CHGNet", "MPtrj, then MP-r2SCAN"),
    "sevennet-0-22may2024": ("SevenNet", "MPF.2021.2.8"),
    "sevennet-0-11jul2024": ("SevenNet", "MPtrj"),
    "sevennet-l3i5": ("SevenNet", "MPtrj"),
    "sevennet-mf-0-pbe": ("SevenNet", "MP trajectories, PBE and r2SCAN"),
    "sevennet-mf-0-r2scan": ("SevenNet", "MP trajectories, PBE and r2SCAN"),
    "tensornet-matpes-pbe": ("TensorNet", "MatPES PBE"),
    "tensornet-matpes-r2scan": ("TensorNet", "MatPES r2SCAN"),
    "nequix-mp-1": ("Nequix", "MPtrj"),
    "nequix-omat-1": ("Nequix", "OMat24"),
    "nequix-oam-1": ("Nequix", "OMat24, then sAlex and MPtrj"),
}
LINEAGES = {
    "chgnet-r2scan": "chgnet-0.3.0",
    "sevennet-mf-0-pbe": "sevennet-mf-0",
    "sevennet-mf-0-r2scan": "sevennet-mf-0",
    "nequix-oam-1": "nequix-omat-1",
}
TRAINED = list(FACTS)

UNTRAINED = "random weights"
SHUFFLED = "shuffled weights"
COMPOSITION = "composition only"
RELATIONS = [
    "one lineage",
    "same family, same data",
    "same family, other data",
    "other family, same data",
    "other family, other data",
]
CONTROLS = [UNTRAINED, SHUFFLED, COMPOSITION]


def kind(model: str) -> str:
    """`trained`, or the kind of control."""
    if model in FACTS:
        return "trained"
    if model.startswith("control-"):
        return COMPOSITION
    return SHUFFLED if "-shuffled-" in model else UNTRAINED


def relation(a: str, b: str) -> str | None:
    """How two potentials are related; a trained one with a control: the kind of the control; two controls: None."""
    kinds = {kind(a), kind(b)}
    if kinds == {"trained"}:
        if LINEAGES.get(a, a) == LINEAGES.get(b, b):
            return RELATIONS[0]
        (family_a, data_a), (family_b, data_b) = FACTS[a], FACTS[b]
        return f"{'same' if family_a == family_b else 'other'} family, {'same' if data_a == data_b else 'other'} data"
    return next(iter(kinds - {"trained"})) if "trained" in kinds and len(kinds) == 2 else None


def pairs_of(wanted: str) -> list[tuple[str, str]]:
    """Pairs of trained potentials of a relation, in the order of the spec."""
    return [pair for pair in combinations(TRAINED, 2) if relation(*pair) == wanted]
