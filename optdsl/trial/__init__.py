"""``optdsl try``: runs optimizers beside torch's own on small problems; how they fare and what they cost."""
