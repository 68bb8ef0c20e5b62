"""Words that do not mean what they say: praise of a mishap, heavy words that only describe a thing, tears of laughter.

"Just what I needed, a broken wrist" praises nothing; "the fridge is empty" mourns nothing. These are told by what the
words are about, not by the look on the face: a smile over a mishap is often part of the joke (Gibbs, *Irony in talk
among friends*, Metaphor and Symbol 15, 2000).
"""

from __future__ import annotations

import re
from typing import Final

from policy.prompt import GLAD
from policy.words import mood_words, plain

_BODY: Final = (
    "wrist|ankle|leg|arm|finger|thumb|toe|rib|ribs|tooth|teeth|nose|foot|hip|knee|elbow|shoulder|hand|head|back|neck|jaw"
    "|collarbone|eye|face|skull|chin|lip"
)
_BREAKS: Final = (
    "broke|broken|breaks|sprained|twisted|tore|torn|cracked|fractured|dislocated|burnt|burned|scalded|cut|sliced|smashed"
    "|bruised|chipped|knocked out|split|pulled|busted|hit|banged"
)
_MISHAPS: Final = (
    rf"(?:{_BREAKS}) (?:my|his|her|their|our|a|an|the|two|three|another) (?:\w+ )?(?:{_BODY})",
    rf"(?:a|my|this|that|another|his|her) (?:{_BREAKS}) (?:{_BODY})",
    rf"(?:my|his|her) (?:{_BODY})(?: is| was|'s| got) (?:{_BREAKS})",
    "stitches|on crutches|in (?:a cast|plaster)|concussion|concussed|black eye|in a sling",
    "(?:fell|tripped|slipped|crashed) (?:off|down|over|on|into) (?:the|my|a|an|some)",
    "(?:hours|night|evening|day|saturday|sunday|weekend) in (?:a and e|the er|the emergency room|hospital)",
)
_MISHAP: Final = re.compile(rf"\b(?:{'|'.join(_MISHAPS)})\b")
_HEALED: Final = re.compile(
    r"\b(?:healed|(?:came|comes|is) off|took (?:it|the cast|the plaster) off|out of (?:plaster|the cast|the sling)"
    r"|stitches (?:are|came) out|no (?:more )?(?:crutches|stitches)|without (?:crutches|a stick)|better now"
    r"|nothing broken|(?:not|isn't|wasn't) broken|back to normal)\b"
)
_PRAISES: Final = (
    "great|brilliant|lovely|wonderful|fantastic|amazing|perfect|marvellous|marvelous|splendid|excellent|charming"
    "|delightful|fabulous"
)
_PRAISE: Final = re.compile(
    rf"\b(?:{_PRAISES}|love it|(?:good|great) news|best day|very clever|smart move|well done|how nice"
    r"|(?:just|exactly) what i (?:needed|wanted)|lucky me|my lucky day|what (?:a )?(?:luck|joy|fun)"
    r"|thrilled|delighted|can't wait|so happy|living the dream|couldn't be better|went well)\b"
)
_OPENS: Final = re.compile(
    rf"^(?:(?:oh|well|just|yeah|so|and|how|absolutely|simply|what a|the) )*"
    rf"(?:{_PRAISES}|best (?:day|week|news)(?: ever)?)\b"
)

_MIRTH: Final = re.compile(
    r"\b(?:(?:nearly|almost|practically|just|literally) )?(?:died|dying|dead|crying|cried|cry|weeping|in tears|tears"
    r"|howling|screaming|had tears)"
    r"(?: (?:running|streaming|pouring|in|down|our|my|his|her|their|eyes|faces?|cheeks?)){0,5}"
    r" (?:of |with |from |for |out )?(?:sheer |pure )?(?:laughing|laughter|joy|giggles|happiness)\b"
    r"|\b(?:laugh(?:ed|ing)?|giggl(?:ed|ing)) (?:\w+ ){0,3}(?:till|until|so (?:hard|much)(?: that)?) "
    r"(?:we|i|he|she|they|everybody|everyone) (?:\w+ ){0,2}(?:cried|cry|wept|died|were in tears)\b"
    r"|\btears of (?:joy|laughter)\b"
)

_DULL: Final = "empty|heavy|grey|dull"
_VERY: Final = "so|very|pretty|half|nearly|almost|totally|completely|all"
_RUNS_OUT: Final = "phone|battery|line|laptop|engine|screen|remote"
_PLACES: Final = (
    "room|fridge|bottle|glass|box|bag|suitcase|plate|sky|coat|sofa|stage|hall|train|bus|beach|street|tank|seat|shelf"
    "|wall|parcel|office|car park|shop|cup|pot|jar|tin"
)
_THINGS: Final = re.compile(
    rf"\b(?:(?:the|this|that|every|another|my|our|your) (?:\w+ )?(?:{_PLACES})(?:'s| is| was) "
    rf"(?:(?:{_VERY}) )?(?:{_DULL})|(?:an? |the )(?:{_DULL}) (?:{_PLACES})"
    rf"|(?:{_RUNS_OUT})(?:'s| is| was) (?:(?:{_VERY}) )?(?:dead|empty))\b"
)


def ironic(text: str) -> bool:
    """Tell whether ``text`` praises a mishap: an injury that was not healed, and words of praise about nothing else."""
    bare = plain(text)
    if _MISHAP.search(bare) is None or _HEALED.search(bare) is not None:
        return False
    return _PRAISE.search(bare) is not None and not _glad_besides(bare)


def opens_with_praise(text: str) -> bool:
    """Tell whether all that is glad in ``text`` is the praise with which it begins, as irony often does."""
    bare = plain(text)
    return _OPENS.search(bare) is not None and not any(mood in GLAD for mood in mood_words(_OPENS.sub(" ", bare)))


def sober(text: str) -> str:
    """Return the words of ``text`` without ways to say how much one laughed, as in "I nearly died laughing"."""
    return _MIRTH.sub(" laughing ", plain(text))


def literal(text: str) -> bool:
    """Tell whether all that is heavy in ``text`` describes a thing, as in "the fridge is empty"."""
    bare = plain(text)
    rest = _THINGS.sub(" ", bare)
    return rest != bare and not any(mood not in GLAD for mood in mood_words(rest))


def _glad_besides(bare: str) -> bool:
    return any(mood in GLAD for mood in mood_words(_PRAISE.sub(" ", bare)))
