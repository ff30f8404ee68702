import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from pinnsuite import SignalProblem


def digits(seed: int = 0) -> SignalProblem:
    """Recognise handwritten digits on 8 x 8 pixels.

    1797 images of the digits 0 to 9, grey values scaled to [0, 1]; three quarters
    (1347) are for training, the others (450) for judging, drawn with equal shares of
    every class. The true scores are 1 for the right class and 0 elsewhere.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI
    Machine Learning Repository (1998), DOI 10.24432/C50P49, CC BY 4.0; the test part
    of it, as scikit-learn ships it.
    """
    data = load_digits()
    inputs_train, inputs_test, labels_train, labels_test = train_test_split(
        data.images / 16.0,
        data.target,
        test_size=450,
        random_state=seed,
        stratify=data.target,
    )
    return SignalProblem(
        name="digits",
        task="classify",
        given={
            "inputs_train": inputs_train,
            "labels_train": labels_train,
            "inputs_test": inputs_test,
        },
        truth={"scores": np.eye(10)[labels_test]},
        coordinates={
            "sample": np.arange(len(labels_test), dtype=float),
            "class": np.arange(10.0),
        },
        metric="error_rate",
        split=f"1347 for training, 450 for judging, stratified, seed {seed}",
        units="grey value in [0, 1]",
        source="UCI Optical Recognition of Handwritten Digits, DOI 10.24432/C50P49, "
        "CC BY 4.0, through sklearn.datasets.load_digits",
        tags=("real data", "images"),
    )
