"""The formats that may be uploaded, and how models of other kinds become one of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Format(StrEnum):
    """All are data: nothing in them is run when they are read."""

    ONNX = "onnx"
    LIGHTGBM = "lightgbm"
    XGBOOST_JSON = "xgboost-json"
    XGBOOST_UBJ = "xgboost-ubj"
    SKOPS = "skops"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS: Final = {
    Format.ONNX: "an ONNX model",
    Format.LIGHTGBM: "a model that LightGBM saved as text",
    Format.XGBOOST_JSON: "a model that XGBoost saved as JSON",
    Format.XGBOOST_UBJ: "a model that XGBoost saved as UBJ",
    Format.SKOPS: "a scikit-learn model that skops saved",
}

MAX_DIRECT_BYTES: Final = 30_000_000
"""Of a file in the request itself: Cloud Run takes requests of up to 32 MiB."""

MAX_BYTES: Final = 200_000_000
"""Of any file: what the conversion has memory for."""

_SKLEARN: Final = (
    "scikit-learn: skl2onnx.to_onnx(model, X[:1].astype('float32'), options={'zipmap': False})"
    ".SerializeToString(), format 'onnx'; or skops.io.dump(model, 'model.skops'), format 'skops'"
)
_LIGHTGBM: Final = "LightGBM: model.booster_.save_model('model.txt'), format 'lightgbm'"
_XGBOOST: Final = (
    "XGBoost: model.get_booster().save_model('model.json'), format 'xgboost-json'; or 'model.ubj', format "
    "'xgboost-ubj'"
)
_TORCH: Final = (
    "PyTorch: torch.onnx.export(model.eval(), (torch.zeros(2, n),), 'model.onnx') with a batch axis that is "
    "dynamic and a softmax at the end, format 'onnx'"
)
_KERAS: Final = (
    "Keras: model.export('model.onnx', format='onnx'); TensorFlow: python -m tf2onnx.convert "
    "--saved-model DIR --output model.onnx; format 'onnx'"
)

HOW_ANY: Final = f"Convert it where it was trained. {_SKLEARN}. {_LIGHTGBM}. {_XGBOOST}. {_TORCH}. {_KERAS}."
HOW_PICKLE: Final = (
    "Loading one runs whatever code its author has put in, so none is ever loaded here. Convert it where it "
    f"was trained. {_SKLEARN}. {_LIGHTGBM}. {_XGBOOST}."
)
HOW_TORCH: Final = f"No pickle is ever loaded here, and weights alone are no model. {_TORCH}."
HOW_KERAS: Final = f"{_KERAS}."
HOW_CATBOOST: Final = "CatBoost: model.save_model('model.onnx', format='onnx'), format 'onnx'."
HOW_PLAIN: Final = "Send the model's own file, as it is: neither packed nor compressed."
