"""Which characters do what, as far as :mod:`unicodedata` does not say it, or says it differently from one Python to the
next. Blocks never move, so what they decide is decided alike everywhere.
"""

from __future__ import annotations

from bisect import bisect_right


class Ranges:
    """A set of code points, written as hexadecimal ranges: ``Ranges("30-39 A9")``. Asked with characters."""

    def __init__(self, text: str) -> None:
        pairs = sorted(
            (int(first, 16), int(last or first, 16))
            for first, _, last in (word.partition("-") for word in text.split())
        )
        self._first = [first for first, _ in pairs]
        self._last = [last for _, last in pairs]

    def __contains__(self, character: str) -> bool:
        """Whether ``character`` (one, or none) is in it."""
        if not character:
            return False
        number = ord(character)
        place = bisect_right(self._first, number) - 1
        return place >= 0 and number <= self._last[place]


IGNORABLE = Ranges(
    "AD 34F 61C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164 FE00-FE0F FEFF FFA0 FFF0-FFF8 "
    "1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"
)
"""Default_Ignorable_Code_Point: shown as nothing, whatever they do. The property is kept stable."""

BIDI = Ranges("202A-202E 2066-2069 206A-206F")
"""Embeddings, overrides, isolates, and the deprecated format characters: they reorder what a person reads."""

TAGS = Ranges("E0000-E007F")
SELECTORS = Ranges("FE00-FE0F E0100-E01EF")
EMOJI_SELECTORS = Ranges("FE0E-FE0F")
MONGOLIAN_SELECTORS = Ranges("180B-180D 180F")
DIRECTION_MARKS = Ranges("61C 200E-200F")

VISIBLE_FORMATS = Ranges("600-605 6DD 70F 890-891 8E2 110BD 110CD")
"""Format characters (Cf) that are seen: signs that span numbers and words."""

EMOJI_PARTS = Ranges("23 2A 30-39 1F1E6-1F1FF 1F3FB-1F3FF")
"""Besides pictographs, what may have an emoji selector: keycaps, regional indicators, skin tones."""

SKIN_TONES = Ranges("1F3FB-1F3FF")
IDEOGRAPHS = Ranges("3400-4DBF 4E00-9FFF F900-FAFF 17000-18DFF 20000-3FFFD")
CLOSING = Ranges("29 5D 7D BB 2019 201D")
EVERY = Ranges("0-10FFFF")
IDEOGRAPH_SELECTORS = Ranges("FE00-FE02 E0100-E011F")
"""Those that sequences with ideographs are registered with (StandardizedVariants; the IVD up to October 2025: VS17 to VS48)."""

KEYCAPS = Ranges("23 2A 30-39")
HIEROGLYPHS = Ranges("13000-1342F 13440-143FF")
MONGOLIAN = Ranges("1807 180A 1820-18AA 11660-1167F")

JOINING = Ranges(
    "620-65F 66E-6D5 6DC-6FF 70F-7FF 840-8FF FB50-FDFF FE70-FEFC 1807 180A 1820-18AA A840-A873 10AC0-10AEF "
    "10B80-10BAF 10D00-10D3F 10EC0-10EFF 10F30-10FDF 1E900-1E95F"
)
"""Letters, marks and digits of scripts whose letters join: Arabic, Syriac, N'Ko, Mandaic, Mongolian, Phags-pa, Adlam, ..."""

INDIC = Ranges(
    "900-DFF 1000-109F 1700-177F 1780-17FF 1900-194F 1A00-1AAF 1B00-1C4F 1CD0-1CFF A800-A82F A880-A8FF A930-A95F A980-A9FF "
    "AA00-AA7F AAE0-AAFF ABC0-ABFF 10A00-10A9F 11000-1123F 11280-1193F 11950-11AAF 11C00-11DAF 11EE0-11F5F 16100-1613F"
)
"""Scripts of Brahmi's family, in which a joiner chooses the form of a cluster (UAX #31; RFC 5892, appendix A)."""

ADDED_VIRAMAS = Ranges("113CE-113D0 11F41-11F42 1612F")
"""Viramas (combining class 9) newer than Unicode 14.0."""

UNSPACED = Ranges("E00-EFF 1000-109F 1780-17FF 1950-19FF 1A20-1AAF 1B00-1B7F A980-A9FF AA00-AA7F AA80-AADF")
"""Scripts that write no spaces between words, where a zero-width space shows a line where to break."""

SCRIPT_FORMATS = Ranges("180E 13430-1343F 1BCA0-1BCA3 1D173-1D17A")
FORMATTED = (
    (Ranges("13430-1343F"), Ranges("13000-1342F 13440-143FF")),  # joiners of Egyptian hieroglyphs
    (Ranges("1BCA0-1BCA3"), Ranges("1BC00-1BC9F")),  # shorthand
    (Ranges("1D173-1D17A"), Ranges("1D100-1D172 1D17B-1D1FF")),  # beams, ties and slurs of musical notation
    (Ranges("180E"), Ranges("1820-18AA")),  # the Mongolian vowel separator
)
"""Format characters, each with the characters of its script: they do work beside one of these."""

PICTOGRAPHS = Ranges(
    "A9 AE 203C 2049 2122 2139 2194-2199 21A9-21AA 231A-231B 2328 2388 23CF 23E9-23F3 23F8-23FA 24C2 "
    "25AA-25AB 25B6 25C0 25FB-25FE 2600-2605 2607-2612 2614-2685 2690-2705 2708-2712 2714 2716 271D 2721 "
    "2728 2733-2734 2744 2747 274C 274E 2753-2755 2757 2763-2767 2795-2797 27A1 27B0 27BF 2934-2935 "
    "2B05-2B07 2B1B-2B1C 2B50 2B55 3030 303D 3297 3299 1F000-1F0FF 1F10D-1F10F 1F12F 1F16C-1F171 "
    "1F17E-1F17F 1F18E 1F191-1F19A 1F1AD-1F1E5 1F201-1F20F 1F21A 1F22F 1F232-1F23A 1F23C-1F23F "
    "1F249-1F3FA 1F400-1F53D 1F546-1F64F 1F680-1F6FF 1F774-1F77F 1F7D5-1F7FF 1F80C-1F80F 1F848-1F84F "
    "1F85A-1F85F 1F888-1F88F 1F8AE-1F8FF 1F90C-1F93A 1F93C-1F945 1F947-1FAFF 1FC00-1FFFD"
)
"""Extended_Pictographic of Unicode 15.0, reserved code points included: what can take part in an emoji sequence."""

VARIANT_BASES = Ranges(
    "30 1000 1002 1004 1010-1011 1015 1019-101A 101C-101D 1022 1031 1075 1078 107A 1080 2018-201F 210B "
    "2110 2112 211B 212C 2130-2131 2133 2205 2229-222A 2268-2269 2272-2273 228A-228B 2293-2295 2297 229C "
    "22DA-22DB 2A3C-2A3D 2A9D-2A9E 2AAC-2AAD 2ACB-2ACC 3001-3002 A856 A85C A85E-A860 A868 AA60-AA66 "
    "AA6B-AA6C AA6F AA7A FF01 FF0C FF0E FF10 FF1A-FF1B FF1F 10AC5-10AC6 10AD6-10AD7 10AE1 1D49C "
    "1D49E-1D49F 1D4A2 1D4A5-1D4A6 1D4A9-1D4AC 1D4AE-1D4B5"
)
"""What standardized variation sequences (VS1 to VS7) are defined for, besides ideographs and hieroglyphs."""

BLANKS = Ranges("115F-1160 1680 2000-2008 200A 205F 2800 303F 3164 FFA0 13441-13442 16FE4 1D159")
"""Seen as a blank, or as nothing that has a width: the braille pattern without dots, fillers, quads, a notehead without a head."""

NOTHING = Ranges("")
BLANKS_OF = (
    (Ranges("2800"), Ranges("2801-28FF")),
    (Ranges("1680"), Ranges("1681-169C")),
    (Ranges("115F-1160"), Ranges("1100-11FF A960-A97C D7B0-D7FB")),
    (Ranges("13441-13442"), Ranges("13000-1342F 13440-143FF")),
    (Ranges("16FE4"), Ranges("18B00-18CFF")),
    (Ranges("1D159"), Ranges("1D100-1D158 1D15A-1D1FF")),
)
"""Those that belong to a script, with the characters of that."""

ADDED = Ranges(
    "558 58B-58C 5C8-5C9 88F 897 B53-B54 C5C CDC CF3 ECE 1ACF-1AF0 1B4E-1B4F 1B7F 1C89-1C8A 208F "
    "209D-209F 20C1-20C4 2427-2429 2B96 2E60-2E63 2FFC-2FFF 31E4-31E5 31EF A7CB-A7CF A7D2 A7D4 A7DA-A7DD "
    "A7E2 A7F1 AB6C-AB6D FBC3-FBD2 FD90-FD91 FDC8-FDCE 105C0-105F3 107BB-107BF 10940-10959 10D40-10D65 "
    "10D69-10D85 10D8E-10D8F 10EC2-10EC7 10EC9-10EEE 10EF0-10EFF 1123F-11241 11380-11389 1138B 1138E "
    "11390-113B5 113B7-113C0 113C2 113C5 113C7-113CA 113CC-113D5 113D7-113D8 113E1-113E2 116D0-116E3 "
    "11B00-11B0A 11B60-11B67 11BC0-11BE1 11BF0-11BF9 11DB0-11DDB 11DE0-11DE9 11DF0-11DF1 11F00-11F10 "
    "11F12-11F3A 11F3E-11F5A 1246F 12475-1247F 12550-12686 1342F 13440-13455 13460-143FA 16100-16139 "
    "16D40-16D79 16EA0-16EB8 16EBB-16ED3 16FF2-16FF6 187F8-187FF 18CD6-18CDA 18CFF 18D09-18D20 "
    "18D80-18DF2 18E00-19191 191A0-191D2 1B123-1B128 1B132 1B155 1B168 1CC00-1CCFC 1CD00-1CEB3 "
    "1CEBA-1CED0 1CED2-1CED4 1CEDD-1CEFD 1D127-1D128 1D1EB-1D1FF 1D250-1D281 1D2C0-1D2D3 1D6A6 "
    "1DB00-1DB1C 1DF1F-1DF81 1DF90-1DF96 1DFCD-1DFFF 1E030-1E06D 1E08F 1E4D0-1E4F9 1E5D0-1E5FA 1E5FF "
    "1E6C0-1E6DE 1E6E0-1E6F5 1E6FE-1E6FF 1F1AE 1F6D8-1F6D9 1F6DC 1F774-1F77F 1F7D9-1F7DB 1F7F1-1F7FF "
    "1F8B2-1F8BB 1F8C0-1F8C1 1F8D0-1F8D8 1FA54-1FA57 1FA75-1FA77 1FA87-1FA8F 1FAAD-1FAAF 1FABB-1FABF "
    "1FAC6 1FAC8 1FACC-1FACF 1FADA-1FADD 1FADF 1FAE8-1FAEB 1FAEF 1FAF7-1FAFA 1FBCB-1FBEF 1FBFA "
    "2B739-2B73F 2B81E 2CEA2-2CEAD 2EBF0-2EE5D 31350-33479 3D000-3FC3F"
)
"""Assigned by Unicode 15.0 to 18.0, format characters excepted: unknown to the oldest Python that we run on, and taken."""
