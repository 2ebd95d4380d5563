"""The rule that made `allowed_ops.txt`, the ops that a model may hold.

    python -m tfspark.registry.allowlist > tfspark/registry/allowed_ops.txt

An op of the installed TensorFlow is allowed if it has a kernel for CPU or GPU, is not internal
(`_Name`), is not named in REFUSED, and either is stateless (TensorFlow's own word for: its outputs
follow from its inputs alone) or keeps state in memory only and is named in STATEFUL. Stateless is
not enough by itself: `ReadFile`, `PyFuncStateless` and `Abort` are stateless to TensorFlow; hence
REFUSED.
A new TensorFlow gets a new list by running this again and reading what changed.
"""

from __future__ import annotations

import re

REFUSED = {
    "reads or names files": r"ReadFile|MatchingFiles|GenerateVocabRemapping|ImmutableConst"
    r"|InitializeTableFromTextFile|Reader.*|.*Skipgram",
    "runs Python, or a program that it carries": r"PyFunc.*|EagerPyFunc|Xla.*|Mlir.*|TPU.*"
    r"|EncodeProto|DecodeProtoV2",  # the two load message descriptors from a path
    "writes what it sees to files or addresses": r"Debug.*|Copy|CopyHost|CustomAggregator",
    "is a data pipeline (its nested graphs and files escape the walk)": r".*Dataset.*|.*Iterator.*"
    r"|CompressElement|UncompressElement|GetElementAtIndex|GetOptions",
    "waits for others": r".*Queue.*|Barrier.*|Batch|BatchFunction|Unbatch|UnbatchGrad"
    r"|.*Accumulator.*",
    "ends the process": r"Abort",
    "may run a plain op under a function's name": r"SymbolicGradient",
    "is there for TensorFlow's own tests": r"ConstructionFails|KernelLabel(Required)?|Old",
}
STATEFUL = {
    "variables": r"VarHandleOp|ReadVariableOp|VarIsInitializedOp|VariableShape|Variable|VariableV2"
    r"|Assign(Add|Sub)?VariableOp|DestroyResourceOp|DisableCopyOnRead|TemporaryVariable"
    r"|IsResourceHandleRefCounting|Resource(Sparse)?Apply.*|ResourceGather(Nd)?"
    r"|ResourceScatter.*|ResourceStridedSliceAssign|ResourceCountUpTo",
    "lookup tables": r"(Anonymous)?(Mutable|MutableDense)?HashTable(OfTensors)?(V2)?"
    r"|LookupTable(Find|Insert|Remove|Size|Import|Export)V2|InitializeTableV2",
    "control flow": r"If|While|Case|StatefulPartitionedCall|Assert|CheckNumerics(V2)?|DeviceIndex"
    r"|GuaranteeConst|Empty",
    "arrays in memory": r"TensorArray.*|Stack(V2|PushV2|PopV2|CloseV2)?",
    "random numbers": r"Random(Crop|Gamma|Poisson|PoissonV2|Shuffle|StandardNormal|Uniform"
    r"|UniformInt)|Stateful(RandomBinomial|StandardNormal(V2)?|TruncatedNormal|Uniform.*)"
    r"|Multinomial|TruncatedNormal|ParameterizedTruncatedNormal|RngSkip|RngReadAndSkip"
    r"|StatelessRandomGetAlg|NonDeterministicInts|SampleDistortedBoundingBox(V2)?"
    r"|(All|LearnedUnigram|LogUniform|ThreadUnsafeUnigram|Uniform)CandidateSampler",
    "recurrent layers on GPUs": r"CudnnRNN(V2|V3|Backprop|BackpropV2|BackpropV3)?",
    "the clock, and lines on the process's own stderr": r"Timestamp|Print",
}


def allowed_ops() -> list[str]:
    """The rule applied to the TensorFlow that is installed."""
    from tfspark.compat.tensorflow import registered_ops

    known, kernels = registered_ops()
    # XLA's kernels come and go with what the process has done so far.
    real = {op for op, device in kernels if device in ("CPU", "GPU", "DEFAULT")}
    refused = re.compile("|".join(REFUSED.values()))
    stateful = re.compile("|".join(STATEFUL.values()))
    return sorted(
        op.name
        for op in known
        if op.name in real
        and not op.name.startswith("_")
        and not refused.fullmatch(op.name)
        and (not op.is_stateful or stateful.fullmatch(op.name))
    )


if __name__ == "__main__":
    print("\n".join(allowed_ops()))
