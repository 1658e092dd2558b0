package kernel

import (
	"slices"

	"golang.org/x/sys/cpu"
)

// sets returns what this CPU can run, the preferred first.
func sets() []*Set {
	s := []*Set{portableSet()}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		s = slices.Insert(s, 0, avx2Set())
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL {
			s = slices.Insert(s, 0, avx512Set())
		}
	}
	return s
}

func avx2Set() *Set {
	return &Set{
		name: "avx2", lanes: 8,
		productWide: productAVX2, productNarrow: productNarrowAVX2, rowsWide: rowsWideAVX2,
		rowsNarrow: rowsNarrowAVX2,
		sparseBlocks: [6][13]func(args *byte){
			1: {1: sparse1x1AVX2, sparse1x2AVX2, sparse1x3AVX2, sparse1x4AVX2, sparse1x5AVX2, sparse1x6AVX2,
				sparse1x7AVX2, sparse1x8AVX2, sparse1x9AVX2, sparse1x10AVX2, sparse1x11AVX2, sparse1x12AVX2},
			2: {1: sparse2x1AVX2, sparse2x2AVX2, sparse2x3AVX2, sparse2x4AVX2, sparse2x5AVX2, sparse2x6AVX2},
			3: {1: sparse3x1AVX2, sparse3x2AVX2, sparse3x3AVX2, sparse3x4AVX2},
			4: {1: sparse4x1AVX2, sparse4x2AVX2, sparse4x3AVX2},
			5: {1: sparse5x1AVX2, sparse5x2AVX2},
		},
		sparseRows: [...]func(args *byte){1: sparseRow1AVX2, sparseRow2AVX2, sparseRow3AVX2,
			sparseRow4AVX2, sparseRow5AVX2, sparseRow6AVX2, sparseRow7AVX2, sparseRow8AVX2},
		poolMaximum: poolMaxAVX2, poolMaxima: poolMaximaAVX2,
		poolAverage: poolAverageAVX2, poolSpread: poolSpreadAVX2,
		transpose8: transpose8AVX2, prefetch: prefetchAVX2, gather8: gather8AVX2, list: listAVX2,
		copyPanel: copyRowsAVX2,
		relu:      reluAVX2, reluGradient: reluGradientAVX2, multiply: multiplyAVX2, addScaled: addScaledAVX2,
		bytes: bytesAVX2, sums: sumsAVX2, penalty: penaltyAVX2,
		winograd: winogradTransforms{
			input: winogradInputAVX2,
			weights: [...]func(args *byte){3: winogradWeights3AVX2, 4: winogradWeights4AVX2,
				5: winogradWeights5AVX2},
			output: [...]func(args *byte){3: winogradOutput3AVX2, 4: winogradOutput4AVX2,
				5: winogradOutput5AVX2},
			gradient: [...]func(args *byte){
				3: winogradGradient3AVX2, 4: winogradGradient4AVX2, 5: winogradGradient5AVX2,
			},
			weightsGradient: [...]func(args *byte){
				3: winogradWeightsGradient3AVX2, 4: winogradWeightsGradient4AVX2,
				5: winogradWeightsGradient5AVX2,
			},
		},
		normalise: normalisePasses{
			sums: normaliseSumsAVX2, gradientSums: normaliseGradientSumsAVX2, forward: normaliseForwardAVX2,
			sum: normaliseSumAVX2, gradient: normaliseGradientAVX2,
		},
		depthwise: depthwiseAVX2, depthwiseGradient: depthwiseGradientAVX2, addClamped: addClampedAVX2,
		gateBy: gateByAVX2, clamp: clampAVX2, copyVectors: copyVectorsAVX2, interleave3: interleave3AVX2,
		affine: affineAVX2,
		row:    rowAVX2,
		functions: functionLoops{
			exponential: exponentialAVX2, sigmoid: sigmoidAVX2, tanh: tanhAVX2, silu: siluAVX2,
			gelu: geluAVX2, geluTanh: geluTanhAVX2, hardSigmoid: hardSigmoidAVX2, hardSwish: hardSwishAVX2,
			elu: eluAVX2, leakyReLU: leakyReLUAVX2, sigmoidGradient: sigmoidGradientAVX2,
			tanhGradient: tanhGradientAVX2,
			siluGradient: siluGradientAVX2, geluGradient: geluGradientAVX2,
			geluTanhGradient: geluTanhGradientAVX2, relu6Gradient: relu6GradientAVX2,
			hardSigmoidGradient: hardSigmoidGradientAVX2, hardSwishGradient: hardSwishGradientAVX2,
			eluGradient: eluGradientAVX2, leakyReLUGradient: leakyReLUGradientAVX2,
		},
		adam: adamAVX2, sgd: sgdAVX2, lion: lionAVX2, rmsprop: rmspropAVX2,
	}
}

func avx512Set() *Set {
	return &Set{
		name: "avx512", lanes: 16, half: avx2Set(),
		tiles: tilesOfCPU(), permitTiles: permitTiles, bfloat16: bfloat16AVX512, bfloat16Pairs: bfloat16PairsAVX512,
		bfloat16Neighbours: bfloat16NeighboursAVX512,
		productWide:        productAVX512, productNarrow: productNarrowAVX512, productPair: productPairAVX512,
		rowsWide: rowsWideAVX512, rowsNarrow: rowsNarrowAVX512,
		sparseBlocks: [6][13]func(args *byte){
			1: {1: sparse1x1AVX512, sparse1x2AVX512, sparse1x3AVX512, sparse1x4AVX512, sparse1x5AVX512,
				sparse1x6AVX512, sparse1x7AVX512, sparse1x8AVX512, sparse1x9AVX512, sparse1x10AVX512,
				sparse1x11AVX512, sparse1x12AVX512},
			2: {1: sparse2x1AVX512, sparse2x2AVX512, sparse2x3AVX512, sparse2x4AVX512, sparse2x5AVX512,
				sparse2x6AVX512},
			3: {1: sparse3x1AVX512, sparse3x2AVX512, sparse3x3AVX512, sparse3x4AVX512},
			4: {1: sparse4x1AVX512, sparse4x2AVX512, sparse4x3AVX512},
			5: {1: sparse5x1AVX512, sparse5x2AVX512},
		},
		sparseRows: [...]func(args *byte){1: sparseRow1AVX512, sparseRow2AVX512, sparseRow3AVX512,
			sparseRow4AVX512, sparseRow5AVX512, sparseRow6AVX512, sparseRow7AVX512, sparseRow8AVX512},
		poolMaximum: poolMaxAVX512, poolMaxima: poolMaximaAVX512,
		poolAverage: poolAverageAVX512, poolSpread: poolSpreadAVX512,
		transpose8: transpose8AVX2, prefetch: prefetchAVX2, gather8: gather8AVX2, list: listAVX512,
		copyPanel: copyRowsAVX512,
		relu:      reluAVX512, reluGradient: reluGradientAVX512, multiply: multiplyAVX512,
		addScaled: addScaledAVX512,
		bytes:     bytesAVX512, sums: sumsAVX512, penalty: penaltyAVX512,
		winograd: winogradTransforms{
			input: winogradInputAVX512,
			weights: [...]func(args *byte){3: winogradWeights3AVX512, 4: winogradWeights4AVX512,
				5: winogradWeights5AVX512},
			output: [...]func(args *byte){3: winogradOutput3AVX512, 4: winogradOutput4AVX512,
				5: winogradOutput5AVX512},
			gradient: [...]func(args *byte){
				3: winogradGradient3AVX512, 4: winogradGradient4AVX512, 5: winogradGradient5AVX512,
			},
			weightsGradient: [...]func(args *byte){
				3: winogradWeightsGradient3AVX512, 4: winogradWeightsGradient4AVX512,
				5: winogradWeightsGradient5AVX512,
			},
		},
		normalise: normalisePasses{
			sums: normaliseSumsAVX512, gradientSums: normaliseGradientSumsAVX512,
			forward: normaliseForwardAVX512, sum: normaliseSumAVX512, gradient: normaliseGradientAVX512,
		},
		depthwise: depthwiseAVX512, depthwiseGradient: depthwiseGradientAVX512,
		addClamped: addClampedAVX512,
		gateBy:     gateByAVX512, clamp: clampAVX512, copyVectors: copyVectorsAVX512,
		interleave3: interleave3AVX512, affine: affineAVX512,
		row: rowAVX512,
		functions: functionLoops{
			exponential: exponentialAVX512, sigmoid: sigmoidAVX512, tanh: tanhAVX512, silu: siluAVX512,
			gelu: geluAVX512, geluTanh: geluTanhAVX512, hardSigmoid: hardSigmoidAVX512,
			hardSwish: hardSwishAVX512,
			elu:       eluAVX512, leakyReLU: leakyReLUAVX512, sigmoidGradient: sigmoidGradientAVX512,
			tanhGradient: tanhGradientAVX512,
			siluGradient: siluGradientAVX512, geluGradient: geluGradientAVX512,
			geluTanhGradient: geluTanhGradientAVX512, relu6Gradient: relu6GradientAVX512,
			hardSigmoidGradient: hardSigmoidGradientAVX512, hardSwishGradient: hardSwishGradientAVX512,
			eluGradient: eluGradientAVX512, leakyReLUGradient: leakyReLUGradientAVX512,
		},
		adam: adamAVX512, sgd: sgdAVX512, lion: lionAVX512, rmsprop: rmspropAVX512,
	}
}
