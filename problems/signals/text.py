import pydoc_data.topics

import numpy as np

from pinnsuite import SignalProblem


def text(num_characters: int = 300_000, num_test: int = 10_000) -> SignalProblem:
    """Predict the next character of English technical prose.

    The help topics of CPython, sorted by name, cut into paragraphs at empty lines. A
    paragraph that came before is dropped, and one under 40 characters too: the topics
    repeat whole sections, and with them a compressor scores 0.25 bits a character by
    copying across the split. Of the first `num_characters`, nine tenths are for
    training; the test part is what follows, at most `num_test` characters.

    An answer is the distribution of each test character given those before it, as
    log₂ of probabilities; the true one has probability 1 on the character that came.
    The score is the mean of -log₂ p(character), in bits.

    Source: `pydoc_data.topics` of the running Python's standard library, Python
    Software Foundation licence 2. The text changes a little between Python versions,
    and the definition's hash with it.
    """
    seen: set[str] = set()
    paragraphs = []
    for _, topic in sorted(pydoc_data.topics.topics.items()):
        lines = "\n".join(line.rstrip() for line in topic.splitlines())
        for paragraph in lines.split("\n\n"):
            words = " ".join(paragraph.split())
            if len(words) >= 40 and words not in seen:
                seen.add(words)
                paragraphs.append(paragraph.strip("\n"))
    prose = "\n\n".join(paragraphs)[:num_characters]
    prose = "".join(c if ord(c) < 127 else "?" for c in prose)
    alphabet, codes = np.unique(list(prose), return_inverse=True)
    start = len(codes) * 9 // 10
    test = codes[start : start + num_test]
    certain = np.full((len(test), len(alphabet)), MINUS_INFINITY)
    certain[np.arange(len(test)), test] = 0.0
    return SignalProblem(
        name="text",
        task="language",
        given={
            "codes_train": codes[:start],
            "codes_test": test,
            "num_codes": np.array(len(alphabet)),
        },
        truth={"log2_probability": certain},
        coordinates={
            "position": np.arange(len(test), dtype=float),
            "code": np.arange(len(alphabet), dtype=float),
        },
        metric="bits_per_character",
        split="the first nine tenths for training, what follows for judging; repeated "
        "paragraphs dropped before",
        units="characters",
        source="pydoc_data.topics of the standard library, PSF licence 2",
        tags=("real data", "text"),
    )


MINUS_INFINITY = -1e3
"""Stands for log₂ 0, which must be finite."""
