package kernel

//go:generate go run -C asm . -vector avx2 -out ../kernels_avx2_amd64.s -stubs ../kernels_avx2_amd64.go -pkg kernel
//go:generate go run -C asm . -vector avx512 -out ../kernels_avx512_amd64.s -stubs ../kernels_avx512_amd64.go -pkg kernel
