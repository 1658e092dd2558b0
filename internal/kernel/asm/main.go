// Command asm generates the assembly of package kernel: every loop once for AVX2 (256-bit
// registers, 16 of them) and once for AVX-512 (512-bit, 32), from one description. It is a module
// of its own, so that avo is no dependency of the product.
//
//	go run . -vector avx2 -out ../kernels_avx2_amd64.s -stubs ../kernels_avx2_amd64.go -pkg kernel
package main

import (
	"flag"
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	flag.String("vector", "avx2", "instruction set: avx2 or avx512")
	v, ok := map[string]*vector{
		"avx2":   {suffix: "AVX2", bytes: 32, rows: 6, columns: 2},
		"avx512": {suffix: "AVX512", bytes: 64, rows: 8, columns: 2, wide: true},
	}[flagValue("-vector", "avx2")]
	if !ok {
		fmt.Fprintln(os.Stderr, "asm: -vector must be avx2 or avx512")
		os.Exit(2)
	}
	ConstraintExpr("amd64")
	v.product("product", v.rows, v.columns)
	v.product("productNarrow", v.rows, 1)
	v.rowsProduct("rowsWide", v.rows, v.columns)
	if v.wide {
		// More sums than AVX2 has registers for.
		v.product("productPair", 6, 2*v.columns)
		v.rowsProduct("rowsNarrow", 2*v.rows, 1)
	} else {
		v.rowsProduct("rowsNarrow", v.rows, 1)
	}
	for rows := 1; rows <= 5; rows++ {
		for columns := 1; rows*columns <= 12; columns++ {
			v.sparse(rows, columns)
		}
	}
	for columns := 1; columns <= 8; columns++ {
		v.sparseRow(columns)
	}
	v.poolMax()
	v.poolMaxima()
	v.poolMean("poolAverage", "computes means over windows; see averageArgs.", false)
	v.poolMean("poolSpread",
		"adds each window's gradient in equal parts to its elements; see averageArgs.", true)
	v.elementwise()
	v.optimisers()
	v.copyRows()
	v.list()
	v.winograd()
	v.normalise()
	v.depthwise()
	v.depthwiseGradient()
	v.evaluate()
	v.interleave3()
	v.functions()
	if v.wide {
		v.bfloat16()
	}
	if !v.wide {
		transpose()
		gather()
		prefetch()
	}
	Generate()
}

// flagValue finds a flag's value before avo parses the command line, since the functions that are
// generated depend on it.
func flagValue(name, fallback string) string {
	for i, arg := range os.Args {
		if arg == name && i+1 < len(os.Args) {
			return os.Args[i+1]
		}
	}
	return fallback
}
