"""Files that look like the models they claim to be, and mustn't be served: the conversion refuses them."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import AttributeProto, FunctionProto, ModelProto, TensorProto, helper

from tests.uploads.graphs import (
    BOTH,
    FIXED,
    FLOAT,
    INT64,
    LOGIT,
    ML,
    WIDTH,
    constant,
    logistic,
    model,
    node,
    stump,
)
from tests.uploads.hostile import LGB, ONNX, SKOPS, UBJ, XGB, Hostile, _npy, _zip
from tests.uploads.made import lightgbm_model, skops_model, xgboost_model, xgboost_of_categories


def in_the_conversion() -> Iterator[Hostile]:
    yield from _onnx_graphs()
    yield from _onnx_trees()
    yield from _lightgbm()
    yield from _lightgbm_of_categories()
    yield from _xgboost()
    yield from _ubj()
    yield from _skops()


def _onnx_graphs() -> Iterator[Hostile]:
    def graph(name: str, make: Callable[[], ModelProto], words: str) -> Hostile:
        return Hostile(f"onnx-{name}", ONNX, lambda: bytes(make().SerializeToString()), words)

    yield graph("external-data", _external, "refers to a file outside the model")
    yield graph("external-without-location", _external_flag, "refers to a file outside the model")
    yield graph("custom-domain", lambda: logistic(domains=[("", 17), ("evil", 1)]), "domain 'evil'")
    yield graph("custom-operator", lambda: _with(node("Run", ["p"], ["y"], domain="evil")), "unknown domain")
    yield graph("unknown-operator", lambda: _with(node("Crypt", ["p"], ["y"])), "'Crypt' isn't let through")
    yield graph("loop", _loop, "'Loop' isn't let through: it runs a graph inside the graph")
    yield graph("if", _if, "'If' isn't let through: it runs a graph inside the graph")
    yield graph("scan", lambda: _with(node("Scan", ["p"], ["y"], body=_body())), "'Scan' isn't let through")
    yield graph("sequence-map", lambda: _with(node("SequenceMap", ["p"], ["y"])), "a graph inside the graph")
    yield graph("nested-graphs", _nested, "a graph inside the graph")
    yield graph("functions", _functions, "functions or training graphs")
    yield graph("reference", _reference, "kind that isn't let through")
    for name in ("Expand", "Tile", "ConstantOfShape", "Range", "Resize", "Pad", "OneHot"):
        yield graph(name.lower(), lambda n=name: _with(node(n, ["p"], ["y"])), "as large as a value says")  # type: ignore[misc]
    yield graph("constant-of-shape-1e12", _giant_by_value, "as large as a value says")
    yield graph(
        "giant-initialiser", lambda: _declared([10**6, 10**6]), "says that it has 1000000000000 values"
    )
    yield graph("output-of-nothing", lambda: logistic(outputs=[_info("other")]), "made by nothing")
    yield Hostile("onnx-name-that-is-no-text", ONNX, _no_text, "a name that isn't text")
    yield Hostile("trees-name-that-is-no-text", ONNX, _no_text_in_trees, "a name that isn't text")
    yield graph("huge-dims", lambda: _declared([2**62, 2**62]), "values, and has")
    yield graph("negative-dims", lambda: _declared([-1, 4]), "impossible axes")
    yield graph("many-axes", lambda: _declared([1] * 40), "impossible axes")
    yield graph("half-a-value", _half_a_value, "values, and has -1")
    yield graph("sparse", _sparse, "sparse tensors")
    yield graph("computed-reshape", _computed_reshape, "computes its shape")
    yield graph("cycle", _cycle, "which nothing before it makes")
    yield graph("made-twice", lambda: _with(node("Identity", ["q"], ["p"])), "made twice")
    yield graph("many-nodes", _many_nodes, "at most 5000")
    yield graph("doubling-concat", _doubling, "onnxruntime can't run the model")
    yield graph("outer-product", _outer_product, "onnxruntime can't run the model")
    yield graph(
        "nan-outputs", lambda: _tail([node("Log", ["minus"], ["bad"]), *_spread("bad")]), "NaN or infinity"
    )
    yield graph("nan-where-missing", _nan_where_missing, "no number to rows with a missing value")
    yield graph("no-probabilities", lambda: _tail([node("Add", ["p", "one"], ["y"])]), "aren't probabilities")
    yield graph("logits", lambda: _one(list(LOGIT), "z"), "isn't a probability: end the model with a Sigmoid")
    yield graph("three-columns", lambda: _tail([node("Concat", ["p", "q"], ["y"], axis=1)], 3), "(3, 3)")
    yield graph(
        "flattened", lambda: _tail([node("ReduceSum", ["p"], ["y"], keepdims=0)]), "an array of shape"
    )
    yield graph("two-inputs", _two_inputs, "has 2 inputs")
    yield graph("fixed-batch", lambda: logistic(inputs=[_x(FLOAT, [1, WIDTH])]), "exactly 1 rows at a time")
    yield graph("other-width", lambda: logistic(inputs=[_x(FLOAT, [None, 3])]), "takes 3 inputs")
    yield graph(
        "integer-input", lambda: logistic(inputs=[_x(INT64, [None, WIDTH])]), "must be a float tensor"
    )
    yield graph("three-axes", lambda: logistic(inputs=[_x(FLOAT, [None, WIDTH, 1])]), "two axes")
    yield graph("no-outputs", lambda: logistic(outputs=[]), "None of the model's outputs")
    yield graph("svm", lambda: _with(node("SVMClassifier", ["x"], ["l", "y"], domain=ML)), "can't be checked")
    yield graph("random", lambda: _with(node("RandomNormalLike", ["p"], ["y"])), "isn't let through")
    yield graph("as-many-rows-as-examples", _three_rows, "onnxruntime can't run the model on 16384 rows")
    yield graph("wrong-examples", lambda: stump(), "otherwise than")
    yield Hostile("onnx-deep-nesting", ONNX, _deep_message, "nested too deeply")
    yield Hostile("onnx-empty-graph", ONNX, lambda: b"\x08\x08\x3a\x00\x42\x02\x10\x11", "graph is empty")


def _onnx_trees() -> Iterator[Hostile]:
    def tree(name: str, words: str, **changes: Any) -> Hostile:
        return Hostile(f"trees-{name}", ONNX, lambda: bytes(stump(**changes).SerializeToString()), words)

    yield tree("feature-outside", "isn't one of the 8", nodes_featureids=[10**6, 0, 0])
    yield tree("negative-feature", "isn't one of the 8", nodes_featureids=[-1, 0, 0])
    yield tree("cycle", "two parents, or a root with one", nodes_truenodeids=[0, 0, 0])
    yield tree("child-outside", "leads to no node", nodes_falsenodeids=[99, 0, 0])
    yield tree("negative-child", "impossible number", nodes_falsenodeids=[-2, 0, 0])
    yield tree("shared-child", "two parents", nodes_falsenodeids=[1, 0, 0])
    yield tree("twice-the-number", "two nodes of one number", nodes_nodeids=[0, 1, 1])
    yield tree("short-array", "lacks some of its nodes' values", nodes_values=[50.0])
    yield tree("nan-threshold", "compares in no known way", nodes_values=[float("nan"), 0.0, 0.0])
    yield tree("unknown-mode", "compares in no known way", nodes_modes=["BRANCH_EVAL", "LEAF", "LEAF"])
    yield tree("class-outside", "isn't one of the 2", class_ids=[0, 1, 0, 9])
    yield tree("leaf-that-isnt", "a leaf that isn't one", class_nodeids=[0, 1, 2, 2])
    yield tree("infinite-leaf", "no number", class_weights=[float("inf"), 0.2, 0.3, 0.7])
    yield tree("short-weights", "leaves' values", class_weights=[0.8])
    yield tree("base-values", "base values", base_values=[0.1] * 5)
    yield tree(
        "huge-number", "impossible number", nodes_nodeids=[0, 1, 2**40], nodes_falsenodeids=[2**40, 0, 0]
    )
    yield Hostile("trees-too-deep", ONNX, _deep_trees, "deeper than 500")
    weights = helper.make_node(
        "LinearClassifier", ["x"], ["l", "p"], domain=ML, coefficients=[0.1] * 3, intercepts=[0.0, 0.0],
        classlabels_ints=[0, 1],
    )  # fmt: skip
    yield Hostile("linear-short", ONNX, lambda: bytes(model([weights]).SerializeToString()), "other weights")
    scaler = helper.make_node("Scaler", ["x"], ["p"], domain=ML, offset=[0.0] * 3, scale=[1.0] * 3)
    yield Hostile("scaler-short", ONNX, lambda: bytes(model([scaler]).SerializeToString()), "another length")


def _lightgbm() -> Iterator[Hostile]:
    def text(name: str, words: str, pattern: str, new: str, count: int = 1) -> Hostile:
        def make() -> bytes:
            made, done = re.subn(pattern, new, lightgbm_model()[0].decode(), count=count, flags=re.MULTILINE)
            assert done
            return made.encode()

        return Hostile(f"lightgbm-{name}", LGB, make, words)

    yield text(
        "huge-leaf-count",
        "says that it has '1000000000' leaves",
        r"^num_leaves=\d+$",
        "num_leaves=1000000000",
    )
    yield text("no-leaf-count", "says that it has", r"^num_leaves=\d+$", "num_leaves=x")
    yield text("cycle", "Tree 0", r"^left_child=\S+", "left_child=0")
    yield text("child-outside", "Tree 0", r"^right_child=\S+", "right_child=999")
    yield text("negative-child", "Tree 0", r"^right_child=\S+", "right_child=-999")
    yield text(
        "shared-child", "Tree 0", r"^left_child=(.*)\nright_child=.*$", r"left_child=\1\nright_child=\1"
    )
    yield text("negative-feature", "a split on feature -1", r"^split_feature=\S+", "split_feature=-1")
    yield text("feature-outside", "isn't one of", r"^split_feature=\S+", "split_feature=77")
    yield text("nan-threshold", "no number", r"^threshold=\S+", "threshold=nan")
    yield text("infinite-leaf", "no number", r"^leaf_value=\S+", "leaf_value=inf")
    yield text("words-for-numbers", "isn't a model", r"^threshold=\S+", "threshold=__import__('os')")
    yield text("huge-child", "isn't a model", r"^left_child=\S+", "left_child=99999999999999999999")
    yield text("another-length", "LightGBM itself can't load", r"^num_cat=0\n", "")
    yield text(
        "short-array", "a model that LightGBM saved|Tree 0|itself can't load", r"^(threshold=\S+).*$", r"\1"
    )
    yield text("categories-none", "isn't a model", r"^num_cat=0$", "num_cat=1")
    yield text("categories-kind", "isn't a model", r"^decision_type=\S+", "decision_type=1")
    yield text("linear", "leaves are constant", r"^is_linear=0$", "is_linear=1")
    yield text("regression", "has no export", r"^objective=.*$", "objective=regression")
    yield text("wrong-features", "isn't one of the 3", r"^max_feature_idx=\d+$", "max_feature_idx=2", 1)
    yield text("no-trees", "0 trees", r"(?s)^Tree=0\n.*end of trees", "end of trees")
    yield text(
        "many-outputs",
        "10000000 outputs",
        r"^num_tree_per_iteration=1$",
        "num_tree_per_iteration=10000000",
    )
    yield text("no-outputs", "0 outputs", r"^num_tree_per_iteration=1$", "num_tree_per_iteration=0")
    yield Hostile("lightgbm-too-deep", LGB, _deep_lightgbm, "deeper than 500")


def _lightgbm_of_categories() -> Iterator[Hostile]:
    def changed(name: str, words: str, pattern: str, new: str) -> Hostile:
        def make() -> bytes:
            text = lightgbm_model(categories="frame")[0].decode()
            made, done = re.subn(pattern, new, text, count=1, flags=re.MULTILINE)
            assert done
            return made.encode()

        return Hostile(f"lightgbm-categories-{name}", LGB, make, words)

    pandas = r"^(pandas_categorical:).*$"
    yield changed("start", "fill their words", r"^cat_boundaries=0", "cat_boundaries=9")
    yield changed("end", "fill their words", r"^cat_boundaries=(.*) \d+$", r"cat_boundaries=\1 99999")
    yield changed("many", "fill their words", r"^num_cat=\d+$", "num_cat=99999999")
    yield changed("set", "a split on set", r"^decision_type=\S+", "decision_type=1")
    yield changed("order", "list what", pandas, r'\1[[1, 2, 4, 3], ["up", "flat", "down"]]')
    yield changed("count", "in 1 columns", pandas, r"\1[[1, 2, 3, 4]]")
    yield changed("words", "isn't JSON", pandas, r"\1__import__('os')")
    yield changed("shape", "isn't a list", pandas, r'\1{"a": 1}')


def _xgboost() -> Iterator[Hostile]:
    def document(name: str, words: str, change: Callable[[dict[str, Any]], None]) -> Hostile:
        def make() -> bytes:
            made = json.loads(xgboost_model()[0])
            change(made["learner"])
            return json.dumps(made).encode()

        return Hostile(f"xgboost-{name}", XGB, make, words)

    def tree(name: str, words: str, field: str, value: Any) -> Hostile:
        def change(learner: dict[str, Any]) -> None:
            first = learner["gradient_booster"]["model"]["trees"][0]
            first[field] = value(first[field]) if callable(value) else value

        return document(name, words, change)

    yield document("dart", "'dart'", lambda one: one["gradient_booster"].update(name="dart"))
    yield document("gblinear", "'gblinear'", lambda one: one["gradient_booster"].update(name="gblinear"))
    yield document(
        "regression", "has no export", lambda one: one["objective"].update(name="reg:squarederror")
    )
    yield document("wrong-features", "takes 3 inputs", _few)
    yield document(
        "base-score", "isn't a model|finite", lambda one: one["learner_model_param"].update(base_score="nan")
    )
    yield document(
        "base-score-2",
        "isn't a model|finite",
        lambda one: one["learner_model_param"].update(base_score="[2E0]"),
    )
    yield document(
        "best-iteration",
        "isn't one of its own|XGBoost itself",
        lambda one: one["attributes"].update(best_iteration="x"),
    )
    yield document(
        "tree-info",
        "isn't one of|isn't a model",
        lambda one: one["gradient_booster"]["model"].update(tree_info=[9] * 15),
    )
    yield document(
        "tree-info-short", "isn't a model", lambda one: one["gradient_booster"]["model"].update(tree_info=[0])
    )
    yield tree("short-array", "another number of nodes", "left_children", [1])
    yield tree("cycle", "Tree 0", "left_children", lambda old: [0, *old[1:]])
    yield tree("child-outside", "Tree 0", "right_children", lambda old: [10**9, *old[1:]])
    yield tree("huge-child", "isn't a model|Tree 0", "right_children", lambda old: [10**30, *old[1:]])
    yield tree("negative-feature", "a split on feature -5", "split_indices", lambda old: [-5, *old[1:]])
    yield tree("nan-threshold", "no number", "split_conditions", lambda old: [float("nan"), *old[1:]])
    yield tree("categories", "aren't those of its splits", "split_type", lambda old: [1, *old[1:]])
    yield tree("text", "isn't a model", "split_conditions", lambda old: ["x", *old[1:]])
    yield Hostile("xgboost-categories-order", XGB, _in_another_order, "list what the model was trained with")
    yield Hostile(
        "xgboost-deep", XGB, lambda: b'{"learner":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply"
    )
    yield Hostile("xgboost-sets-outside", XGB, _sets_outside, "isn't a model")
    yield Hostile("xgboost-trailing", XGB, lambda: xgboost_model()[0] + b" {}", "isn't a model")
    yield Hostile("xgboost-empty", XGB, lambda: b'{"learner": {}}', "isn't a model")
    yield Hostile("xgboost-list", XGB, lambda: b'{"learner": [1, 2]}', "isn't a model")
    yield Hostile(
        "xgboost-wide", XGB, lambda: b'{"learner":[' + b"[]," * 3_000_000 + b"1]}", "isn't a model|memory"
    )
    yield Hostile("xgboost-number", XGB, lambda: b'{"learner":' + b"9" * 10_000 + b"}", "isn't a model")


def _ubj() -> Iterator[Hostile]:
    def count(number: int) -> bytes:
        return b"L" + struct.pack(">q", number)

    start = b"{" + count(7) + b"learner"
    yield Hostile("ubj-array-bomb", UBJ, lambda: start + b"[$d#" + count(10**15) + b"}", "longer than it is")
    yield Hostile("ubj-null-bomb", UBJ, lambda: start + b"[$Z#" + count(10**12) + b"}", "longer than it is")
    yield Hostile(
        "ubj-object-bomb",
        UBJ,
        lambda: start + b"{#" + count(10**12) + b"}",
        "longer than it is|length of type",
    )
    yield Hostile("ubj-negative", UBJ, lambda: start + b"[$d#" + count(-5) + b"}", "longer than it is")
    yield Hostile("ubj-deep", UBJ, lambda: start + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested more than")
    yield Hostile("ubj-cut-off", UBJ, lambda: xgboost_model(form="ubj")[0][:4000], "cut off")
    yield Hostile("ubj-trailing", UBJ, lambda: xgboost_model(form="ubj")[0] + b"N", "the rest is none of it")
    yield Hostile("ubj-type", UBJ, lambda: start + b"H" + b"}", "no such type")
    yield Hostile("ubj-untyped-length", UBJ, lambda: start + b"[$d" + b"}", "without a length")
    yield Hostile("ubj-nested-empties", UBJ, lambda: start + b"[$[#" + count(10**9) + b"}", "no such type")


def _skops() -> Iterator[Hostile]:
    def saved(
        name: str,
        words: str,
        schema: Callable[[dict[str, Any]], object] = lambda _: None,
        array: Callable[[bytes], bytes] = lambda content: content,
    ) -> Hostile:
        return Hostile(f"skops-{name}", SKOPS, lambda: _resaved(schema, array), words)

    def typed(module: str, name: str, loader: str) -> dict[str, Any]:
        return {"__module__": module, "__class__": name, "__loader__": loader, "__id__": 7, "content": {}}

    yield saved("system", "posix.system", lambda one: one.update(typed("posix", "system", "ObjectNode")))
    yield saved("function", "FunctionNode", lambda one: one.update(typed("os", "system", "FunctionNode")))
    hidden = {"content": typed("builtins", "eval", "MethodNode")}
    yield saved("hidden-in-a-name", "builtins.eval", lambda one: one.update(note=[hidden]))
    other = typed("sklearn.pipeline", "Pipeline", "OperatorFuncNode")
    yield saved("allowed-class-other-loader", "OperatorFuncNode", lambda one: one.update(other))
    unloaded = {"__module__": "os", "__class__": "system"}
    yield saved("without-a-loader", "os.system", lambda one: one.update(note=unloaded))
    partial = typed("functools", "partial", "PartialNode")
    yield saved("partial", "functools.partial", lambda one: one.update(partial))
    generator = typed("numpy.random._generator", "Generator", "RandomGeneratorNode")
    yield saved("generator", "RandomGeneratorNode", lambda one: one.update(generator))
    svm = typed("sklearn.svm._classes", "SVC", "ObjectNode")
    yield saved("other-estimator", "bring others as ONNX", lambda one: one.update(svm))
    yield saved("no-content", "as it was saved", lambda one: one.update(content={}))
    yield saved("list-for-a-module", "as it was saved", lambda one: one.update(note={"__module__": ["os"]}))
    yield saved("list-for-a-file", "as it was saved", _unhashable)
    yield saved("object-array", "objects", array=lambda _: _npy(np.array([{}], object)))
    yield saved("longer-array", "isn't as long as it says", array=lambda one: one + b"xxxx")
    yield saved("no-array", "as it was saved", array=lambda _: b"text")
    yield saved("giant-array", "isn't as long as it says", array=lambda _: _header((10**6, 10**6)))
    yield Hostile("skops-bomb", SKOPS, _skops_bomb, "unpacks to")
    yield Hostile("skops-no-json", SKOPS, lambda: _zip({"schema.json": b"{"}), "as it was saved")
    yield Hostile(
        "skops-deep", SKOPS, lambda: _zip({"schema.json": b"[" * 10**5 + b"]" * 10**5}), "too deeply"
    )
    yield Hostile(
        "skops-forest-cycle", SKOPS, _forest_with_a_cycle, "Tree 0|impossible|one child|as it was saved"
    )


def _resaved(change: Callable[[dict[str, Any]], object], array: Callable[[bytes], bytes]) -> bytes:
    """A sound file, with its schema and its first array changed."""
    with zipfile.ZipFile(io.BytesIO(skops_model()[0])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    change(schema)
    first = min(name for name in members if name.endswith(".npy"))
    changed = {first: array(members[first]), "schema.json": json.dumps(schema).encode()}
    return _zip({**members, **changed})


def _unhashable(value: Any) -> None:
    """The name of an array is a list."""
    if isinstance(value, dict):
        if value.get("__loader__") == "NdArrayNode":
            value["file"] = ["1.npy"]
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        _unhashable(one)


def _forest_with_a_cycle() -> bytes:
    """The root of its trees is its own child."""
    with zipfile.ZipFile(io.BytesIO(skops_model("forest")[0])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, content in members.items():
        if name.endswith(".npy"):
            values = np.load(io.BytesIO(content))
            if values.dtype.names and "left_child" in values.dtype.names:
                values["left_child"][0] = 0
                members[name] = _npy(values)
    return _zip(members)


def _skops_bomb() -> bytes:
    return _zip({"schema.json": b" " * 310_000_000})


def _header(shape: tuple[int, ...]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return out.getvalue()


def _with(*nodes: Any) -> ModelProto:
    made = logistic()
    made.graph.node.extend(nodes)
    return made


def _x(kind: int, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info("x", kind, shape)


def _tail(nodes: list[Any], width: int = 2) -> ModelProto:
    """The logistic regression, with more behind it that makes `y`."""
    nodes = [node("Neg", ["q"], ["minus"]), *nodes]
    out = helper.make_tensor_value_info("y", FLOAT, [None, width])
    return model([*LOGIT, *BOTH, *nodes], tensors=FIXED, outputs=[out])


def _spread(name: str) -> list[Any]:
    return [node("Concat", [name, name], ["y"], axis=1)]


def _one(nodes: list[Any], name: str) -> ModelProto:
    return model(nodes, tensors=FIXED, outputs=[helper.make_tensor_value_info(name, FLOAT, [None, 1])])


def _info(name: str) -> Any:
    return helper.make_tensor_value_info(name, FLOAT, [None, 2])


def _no_text() -> bytes:
    """The output's name isn't UTF-8."""
    return _replaced(logistic(outputs=[_info("output")]), b"output")


def _no_text_in_trees() -> bytes:
    return _replaced(stump(), b"post_transform")


def _replaced(made: ModelProto, name: bytes) -> bytes:
    content = bytes(made.SerializeToString())
    assert name in content
    return content.replace(name, b"\xff" * len(name))


def _external() -> ModelProto:
    made = logistic()
    tensor = made.graph.initializer[2]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    return made


def _external_flag() -> ModelProto:
    made = logistic()
    made.graph.initializer[2].data_location = TensorProto.EXTERNAL
    return made


def _body() -> Any:
    cond = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    return helper.make_graph([node("Identity", ["c"], ["d"])], "b", [cond], [])


def _loop() -> ModelProto:
    return _with(node("Loop", ["", "", "p"], ["y"], body=_body()))


def _if() -> ModelProto:
    return _with(node("If", ["c"], ["y"], then_branch=_body(), else_branch=_body()))


def _nested() -> ModelProto:
    inner = _body()
    for _ in range(12):
        inner = helper.make_graph(
            [node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)], "b", [], []
        )
    return _with(node("Identity", ["p"], ["y"], body=inner))


def _functions() -> ModelProto:
    made = logistic()
    made.functions.append(FunctionProto(name="f", domain=""))
    return made


def _reference() -> ModelProto:
    made = logistic()
    attribute = made.graph.node[2].attribute.add(name="alpha", type=AttributeProto.FLOAT)
    attribute.ref_attr_name = "alpha"
    return made


def _giant_by_value() -> ModelProto:
    made = _with(node("ConstantOfShape", ["shape"], ["y"]))
    made.graph.initializer.append(constant("shape", [10**6, 10**6], np.int64))
    return made


def _declared(dims: list[int]) -> ModelProto:
    made = logistic()
    made.graph.initializer.append(TensorProto(name="t", data_type=FLOAT, dims=dims, raw_data=bytes(16)))
    return made


def _half_a_value() -> ModelProto:
    made = logistic()
    made.graph.initializer.append(TensorProto(name="t", data_type=FLOAT, dims=[1], raw_data=bytes(7)))
    return made


def _sparse() -> ModelProto:
    made = logistic()
    made.graph.sparse_initializer.add().dims.extend([10**9])
    return made


def _computed_reshape() -> ModelProto:
    return _with(node("Cast", ["p"], ["s"], to=INT64), node("Reshape", ["p", "s"], ["y"]))


def _cycle() -> ModelProto:
    return model([node("Add", ["x", "b2"], ["a2"]), node("Neg", ["a2"], ["b2"]), node("Neg", ["b2"], ["p"])])


def _many_nodes() -> ModelProto:
    return model([node("Neg", [f"v{i}" if i else "x"], [f"v{i + 1}"]) for i in range(6_000)])


def _doubling() -> ModelProto:
    """Forty times twice as large."""
    nodes = [node("Concat", [f"d{i}" if i else "p"] * 2, [f"d{i + 1}"], axis=1) for i in range(40)]
    return _tail([*nodes, node("Identity", ["d40"], ["y"])])


def _outer_product() -> ModelProto:
    """Two vectors of 100,000 make 40 GB."""
    large = [constant("u", np.ones((100_000, 1))), constant("v", np.ones((1, 100_000)))]
    nodes = [
        node("MatMul", ["u", "v"], ["m"]),
        node("ReduceSum", ["m"], ["s"]),
        node("Add", ["p", "s"], ["y"]),
    ]
    out = helper.make_tensor_value_info("y", FLOAT, [None, 2])
    return model([*LOGIT, *BOTH, *nodes], tensors=[*FIXED, *large], outputs=[out])


def _nan_where_missing() -> ModelProto:
    return model([node("Gemm", ["x", "w", "b"], ["z"]), *BOTH], tensors=FIXED)


def _three_rows() -> ModelProto:
    """Adds a constant with as many rows as there are examples here."""
    made = _tail([node("Add", ["p", "nothing"], ["y"])])
    made.graph.initializer.append(constant("nothing", np.zeros((3, 1))))
    return made


def _two_inputs() -> ModelProto:
    other = helper.make_tensor_value_info("x2", FLOAT, [None, 1])
    return logistic(inputs=[_x(FLOAT, [None, WIDTH]), other])


def _deep_message() -> bytes:
    """A graph in an attribute of a node of a graph, 300 times, and what makes it look like a model."""
    inner = b""
    for _ in range(300):
        for field in (b"\x32", b"\x2a", b"\x0a"):  # attribute.g, node.attribute, graph.node
            inner = field + _length(inner) + inner
    return b"\x08\x08" + b"\x3a" + _length(inner) + inner + b"\x42\x02\x10\x11"


def _length(content: bytes) -> bytes:
    size, out = len(content), bytearray()
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size])


def _deep_trees() -> bytes:
    """A chain of 2,000 splits."""
    count = 2_000
    inner, total = list(range(count)), 2 * count + 1
    leaves = [0] * (count + 1)
    return bytes(
        stump(
            nodes_treeids=[0] * total,
            nodes_nodeids=list(range(total)),
            nodes_modes=["BRANCH_LEQ"] * count + ["LEAF"] * (count + 1),
            nodes_featureids=[0] * total,
            nodes_values=[1.0] * total,
            nodes_truenodeids=[count + i for i in inner] + leaves,
            nodes_falsenodeids=[i + 1 for i in inner[:-1]] + [2 * count] + leaves,
            class_treeids=[0] * (count + 1),
            class_nodeids=list(range(count, total)),
            class_ids=[0] * (count + 1),
            class_weights=[0.1] * (count + 1),
        ).SerializeToString()
    )


def _sets_outside() -> bytes:
    """A pruned tree with a set of categories for a node that it hasn't."""
    document = json.loads(xgboost_model(tree_method="exact", gamma=1.0)[0])
    trees = document["learner"]["gradient_booster"]["model"]["trees"]
    pruned = next(tree for tree in trees if tree["tree_param"]["num_deleted"] != "0")
    pruned.update(categories=[1], categories_segments=[0], categories_sizes=[1], categories_nodes=[10**6])
    return json.dumps(document).encode()


def _in_another_order() -> bytes:
    """Trained with categories that pandas had in another order than the columns say."""
    document = json.loads(xgboost_of_categories(framed=True)[0])
    noted = document["learner"]["gradient_booster"]["model"]["cats"]["enc"][2]
    noted["values"] = noted["values"][::-1]
    return json.dumps(document).encode()


def _deep_lightgbm() -> bytes:
    """A chain of 600 splits as the first tree."""
    count = 600
    numbers = {
        "num_leaves": str(count + 1),
        "split_feature": " ".join(["0"] * count),
        "threshold": " ".join(["1"] * count),
        "decision_type": " ".join(["2"] * count),
        "left_child": " ".join(str(-(i + 1)) for i in range(count)),
        "right_child": " ".join([*(str(i + 1) for i in range(count - 1)), str(-(count + 1))]),
        "leaf_value": " ".join(["0.1"] * (count + 1)),
    }
    text = lightgbm_model()[0].decode()
    for name, value in numbers.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, count=1, flags=re.MULTILINE)
    return text.encode()


def _few(learner: dict[str, Any]) -> None:
    learner["learner_model_param"]["num_feature"] = "3"
    for tree in learner["gradient_booster"]["model"]["trees"]:
        tree["split_indices"] = [0] * len(tree["split_indices"])
