"""Say whom a data set is owed to, in words to copy, and under which terms it may be passed on.

The words are ours and short. Where a survey asks for words of its own, their address is given, and
nothing here pretends to be them.
"""

from __future__ import annotations

from typing import NamedTuple

SDSS_ASKS = "https://www.sdss4.org/collaboration/citing-sdss/"
SDSS_TERMS = "https://www.sdss.org/collaboration/image-use-policy/"
GALAXY_ZOO = "https://data.galaxyzoo.org"
LABELS = {  # layout -> how the text names it, keys of the bibliography
    "gz1": ("Galaxy Zoo 1 (Lintott et al. 2008, 2011)", "lintott2008galaxy,lintott2011galaxy"),
    "gz2": (
        "Galaxy Zoo 2 (Willett et al. 2013; Hart et al. 2016)",
        "willett2013galaxy,hart2016galaxy",
    ),
    "gz_decals": ("Galaxy Zoo DECaLS (Walmsley et al. 2022)", "walmsley2022galaxy"),
    "ds18": ("Domínguez Sánchez et al. (2018)", "dominguezsanchez2018improving"),
    "na10": ("Nair & Abraham (2010)", "nair2010catalog"),
    "hc11": ("Huertas-Company et al. (2011)", "huertascompany2011revisiting"),
    "efigi": ("EFIGI (Baillard et al. 2011)", "baillard2011efigi"),
}
LABELS["gz1_flags"] = LABELS["gz1"]
GALAXY10 = {  # edition -> whose pictures, whose votes, keys of the bibliography
    "Galaxy10 SDSS": ("the Sloan Digital Sky Survey", LABELS["gz1"][0], LABELS["gz1"][1]),
    "Galaxy10 DECaLS": ("the DESI Legacy Imaging Surveys", *LABELS["gz_decals"]),
}


class Credit(NamedTuple):
    """Hold what a page says of a data set's terms.

    Attributes:
        kind: ``"simulated"``, ``"sdss"``, ``"galaxy10"`` or ``"own"``.
        terms: under which the data may be used, a sentence or two.
        words: to copy into a paper, ours; "" where only the data's authors can say.
        cite: keys of the bibliography.
        asked: (who, address) of those who ask for words of their own.
    """

    kind: str
    terms: str
    words: str
    cite: tuple[str, ...]
    asked: tuple[tuple[str, str], ...]


def credit(card: dict) -> Credit:
    """Return the credit that a data set is due, by its card.

    >>> credit({"simulated": True, "seed": 3}).words.split(".")[0]
    'The galaxies are SIMULATED with galclr-utils (seed 3); nothing in them was observed'
    >>> credit({"source": "stamps.npz (arrays)", "facts": [{}]}).words
    ''
    """
    facts = card.get("facts") or [{}]
    if card.get("simulated"):
        how = [f"seed {card['seed']}"] * ("seed" in card)
        if "population_version" in facts[0]:
            how.append(f"population version {facts[0]['population_version']}")
        return Credit(
            "simulated",
            "They were made by this project's code (BSD 3-Clause) and belong to whoever runs it. "
            "Passed on, they have to stay marked SIMULATED.",
            f"The galaxies are SIMULATED with galclr-utils ({', '.join(how) or 'seed unknown'}); "
            "nothing in them was observed.",
            (),
            (),
        )
    if "way" in facts[0] and "survey" in facts[0]:
        return _sdss(facts[0])
    for each in facts:
        if each.get("collection") in GALAXY10:
            return _galaxy10(each["collection"])
    return Credit(
        "own",
        "The card does not say whose data these are, or under which terms: ask its authors before "
        "you pass on a picture, a label or a number made from a single galaxy.",
        "",
        (),
        (),
    )


def _galaxy10(edition: str) -> Credit:
    """Return the credit of an edition of Galaxy10."""
    pictures, votes, keys = GALAXY10[edition]
    return Credit(
        "galaxy10",
        "Galaxy10 is distributed with astroNN; its terms are its authors' to tell. Its pictures "
        "and votes come from others, who ask to be named.",
        f"We use {edition} (Leung & Bovy, astroNN): pictures of {pictures}, with types by the "
        f"volunteers of {votes}.",
        tuple(keys.split(",")),
        (("Galaxy10", "https://astronn.readthedocs.io"), ("Galaxy Zoo", GALAXY_ZOO)),
    )


def _sdss(facts: dict) -> Credit:
    """Return the credit of images, redshifts and labels that `acquire` fetched."""
    survey = str(facts["survey"])
    release = survey.rpartition("DR")[2]
    known = release.isdigit() and "SDSS" in survey
    named = f"data release {release}" if known else "of a release that the card does not name"
    paper = " (Abdurro'uf et al. 2022)" if known and int(release) == 17 else ""
    words = [f"Images and redshifts are from the Sloan Digital Sky Survey, {named}{paper}."]
    asked = [("SDSS", SDSS_ASKS)]
    if facts["way"] == "cutouts":
        words.append("Cut-outs were made by the service hips2fits of the CDS, Strasbourg.")
        asked.append(("CDS", "https://alasky.cds.unistra.fr/hips-image-services/hips2fits"))
    cite = ["york2000sloan"]
    labels = facts.get("labels")
    layout = labels.get("layout", "") if isinstance(labels, dict) else ""
    if layout in LABELS:
        who, keys = LABELS[layout]
        zoo = layout.startswith("gz")
        words.append(f"Types are from {who}{', given by its volunteers' if zoo else ''}.")
        cite += keys.split(",")
        asked += [("Galaxy Zoo", GALAXY_ZOO)] * zoo
    return Credit(
        "sdss",
        "Images of SDSS may be used under CC BY, and its released data are in the public domain "
        f"([terms]({SDSS_TERMS})); SDSS asks to be credited. The terms of labels are with their "
        "authors.",
        " ".join(words),
        tuple(cite),
        tuple(asked),
    )
