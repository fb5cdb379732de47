"""What a column of a measurement is, told from its name: energy, counts, absorption, or something else."""

from __future__ import annotations

import re
from typing import Literal

Role = Literal["energy", "angle", "mu", "reference mu", "i0", "it", "fluorescence", "other", "unknown"]

_UNIT = r"[\s_/]*([(\[][^()\[\]]*[)\]]|(?<![a-z])(k?ev|a\.?u\.?|counts|cps|deg(rees)?|mdeg|arb\.?))$"

_ROLES: tuple[tuple[Role, str], ...] = (
    (
        "other",
        (
            r"sigma.*|std.*|err(or)?s?|d?mu_?err|.*uncertainty|.*(time|dwell|delay).*|.*ring.*|.*current|.*bkg|background|"
            r"(pre|post|post_?edge|pre_?edge)|index|point|(event.?)?id|i_?[23]|i_?r|i_?ref(er(ence)?)?|n?der(iv.*)?|n?sec(onds)?|"
            r"[hkl]|chi.*|counts?|.*(gain|off|offset|gap|temp.*|pressure)|.*[ics]cr\d*|.*(slow|fast)\d*|epoch|dt|k ?name|dead.*|"
            r".*wavelength.*|lambda|.*dt ?corr.*|edge.?energy|source.?energy|sam[xyz]|[ids]d\d_e[rl]tm"
        ),
    ),
    (
        "energy",
        r"e|k?ev|.*(energy|energie|nrg|nrj).*|photon.*|x_eng|eng(_list)?|mono_?e|e ?\(k?ev\)",
    ),
    ("angle", r".*(theta|angle|bragg).*|.*encoder.*|2?th(eta)?"),
    ("reference mu", r"x?mu[ _]?ref.*|mu(12|23)|.*murefer"),
    (
        "mu",
        (
            r"(avg|sum|mean)?[ _]?x?mu[ _]?(trans(mission)?|fluor(escence)?|tey|t|f|e)?|x?mu\(e\)|x?mu_?0?[0-9]?|"
            r"norm(alized)?([ _]?(x?mu|absorbance|absorption))?(\(e\))?|flat(tened)?|absorbance|absorption|abs|od|xanes|log ?i0 ?i[1t]|"
            r"(cluster|component)_\d+"  # of tables that this program writes
        ),
    ),
    (
        "i0",
        r"i_?(0|o|zero)|ion[ _]?ch?(am(ber)?)?[ _]?0|ic[ _]?0|mon(itor)?|.*[-_ :.]i_?0|i_?0[-_ :.]?[a-z]+\d*",
    ),
    (
        "it",
        r"i_?(t|1)?|i_?trans(mitted)?|i_?transmission|trans(mission|mitted)?|i_?1[-_ :.][a-z]+\d*",
    ),
    (
        "fluorescence",
        (
            r"i_?f|i_?fl?uor.*|fluo?r?(escence)?[ _]?\d*|if+(ch)?_?\d*|f[fl]a?_?\d+|fla(tot)?|sca_?\d+|.*roi_?\d+.*|lytle|pips\d*|"
            r"vortex_?\d*|mca_?\d+|i?tey|drain.*"
        ),
    ),
)

_GROUPED = re.compile(
    r"(.+?)[ ._:/]+(x?mu|norm|flat|nbkg|fbkg|bkg|pre_?edge|post_?edge|nder|nsec)", re.IGNORECASE
)

DETECTOR = re.compile(
    r".*(mcs|det(ector)?|scaler|ctr|counter|channel|ch|adc|keithley|diode|amp|mca|xmap)[ _]?\d+.*"
)
"""Names of channels rather than of compounds."""


RELATIVE_ENERGY = re.compile(
    r"(?:e|energy)\s*[-\u2212\u2013]\s*e_?(?:0|edge)\b.*|rel(?:ative)?[\s_.]*e(?:nergy)?\b.*|(?:delta|d)[\s_]?e(?:nergy)?(?:\W.*)?",
    re.IGNORECASE,
)
"""Names of energies that count from an edge."""


def role_of(name: str) -> Role:
    """Return what a column is, by its name."""
    words = re.sub(r"\s+", " ", name.strip().lower())
    if RELATIVE_ENERGY.fullmatch(words):
        return "other"
    bare = re.sub(_UNIT, "", words).strip() or words
    for role, pattern in _ROLES:
        if re.fullmatch(pattern, words) or re.fullmatch(pattern, bare):
            return role
    return "unknown"


def group_of(name: str) -> tuple[str, str]:
    """Return (group, form) of a column such as "NiO.norm"; the group of "norm" is ""."""
    match = _GROUPED.fullmatch(name.strip())
    return (match[1], match[2].lower()) if match else ("", name.strip().lower())


def detector_set(name: str) -> str:
    """Return what the channels of one detector have in common: "sca" of "sca1" and "sca2"."""
    return re.sub(r"_?\d+(?=\D*$)", "", name.strip().lower())
