"""What of each package is mutated with which of its tests: a mutant costs a run of them all, unless one fails."""

# Tests that take seconds, or ask the network, by package. Coverage counts without them, too.
SLOW = {
    "builder": [],
    "dataset": ["TestFashion", "TestPublishedSets", "TestOptdigits", "TestTrainFromModuleThenCache"],
    "train": ["TestExperimentsAgreeWithPyTorch", "TestAnyHistoryIsDrawn", "TestDamagedFilesDoNotPanic", "TestPartsHaveTheSameBitsOnAnyThreads"],
    "onnx": ["TestDecodeOfDamagedFiles", "TestHostileFiles", "TestCheckOfManyNodesIsFast", "TestSortingManyNodesIsFast"],
    "infer": ["TestNativeIsONNXRuntimeOnTheTestSet", "TestForeignModelsAnswerAsInTheirFrameworks", "TestSetup.*",
              "TestRoundingOfADeepNetwork", "TestRoundingOfIntegers"],
}
