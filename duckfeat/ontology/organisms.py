"""The organisms that are known without any ontology, by common and scientific name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class KnownOrganism:
    """An organism: its common name, its scientific name, its taxon, its code in UniProt's entry names."""

    name: str
    scientific_name: str
    taxon: int
    code: str

    @property
    def ontology_id(self) -> str:
        """The taxon as the NCBI taxonomy writes it."""
        return f"NCBITaxon:{self.taxon}"


KNOWN = (
    KnownOrganism("human", "Homo sapiens", 9606, "HUMAN"),
    KnownOrganism("mouse", "Mus musculus", 10090, "MOUSE"),
    KnownOrganism("rat", "Rattus norvegicus", 10116, "RAT"),
    KnownOrganism("zebrafish", "Danio rerio", 7955, "DANRE"),
    KnownOrganism("fruit fly", "Drosophila melanogaster", 7227, "DROME"),
    KnownOrganism("roundworm", "Caenorhabditis elegans", 6239, "CAEEL"),
    KnownOrganism("yeast", "Saccharomyces cerevisiae", 4932, "YEAST"),
    KnownOrganism("thale cress", "Arabidopsis thaliana", 3702, "ARATH"),
    KnownOrganism("chicken", "Gallus gallus", 9031, "CHICK"),
    KnownOrganism("pig", "Sus scrofa", 9823, "PIG"),
    KnownOrganism("cow", "Bos taurus", 9913, "BOVIN"),
    KnownOrganism("dog", "Canis lupus familiaris", 9615, "CANLF"),
    KnownOrganism("cat", "Felis catus", 9685, "FELCA"),
    KnownOrganism("horse", "Equus caballus", 9796, "HORSE"),
    KnownOrganism("sheep", "Ovis aries", 9940, "SHEEP"),
    KnownOrganism("rabbit", "Oryctolagus cuniculus", 9986, "RABIT"),
    KnownOrganism("chimpanzee", "Pan troglodytes", 9598, "PANTR"),
    KnownOrganism("gorilla", "Gorilla gorilla gorilla", 9595, "GORGO"),
    KnownOrganism("rhesus macaque", "Macaca mulatta", 9544, "MACMU"),
    KnownOrganism("crab-eating macaque", "Macaca fascicularis", 9541, "MACFA"),
    KnownOrganism("marmoset", "Callithrix jacchus", 9483, "CALJA"),
    KnownOrganism("frog", "Xenopus tropicalis", 8364, "XENTR"),
    KnownOrganism("Escherichia coli", "Escherichia coli", 562, "ECOLI"),
)


@cache
def _by_any_name() -> dict[str, KnownOrganism]:
    return {
        spelled.casefold(): known
        for known in KNOWN
        for spelled in (known.name, known.scientific_name, known.ontology_id, known.name.replace(" ", "_"))
    }


def known_organism(name: str) -> KnownOrganism | None:
    """Return the organism of a common name, scientific name or taxon, or None.

    >>> known_organism("Homo sapiens").name, known_organism("homo_sapiens").name, known_organism("NCBITaxon:10090").name
    ('human', 'human', 'mouse')
    """
    by_name = _by_any_name()
    folded = name.strip().casefold()
    return by_name.get(folded) or by_name.get(folded.replace("_", " "))
