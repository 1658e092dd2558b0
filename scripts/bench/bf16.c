// Times the tile of a matrix product, 8 rows by two vectors, in float32 and in bfloat16 with float32
// sums (VDPBF16PS): what AVX512_BF16 could gain where products are all there is.
//
//     gcc -O3 -mavx512f -mavx512bf16 -o bf16 scripts/bench/bf16.c && ./bf16

#include <immintrin.h>
#include <stdio.h>
#include <time.h>

enum { ROWS = 8, DEPTH = 256, TILES = 50, RUNS = 500 };

// Not static: the compiler must not know what they hold.
float a[ROWS][DEPTH], b[DEPTH][32];
int a_pairs[ROWS][DEPTH];
__m512bh b_pairs[DEPTH][2];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void begin(__m512 sums[ROWS][2]) {
    asm volatile("" ::: "memory");
    for (int i = 0; i < ROWS; i++) sums[i][0] = sums[i][1] = _mm512_setzero_ps();
}

static void use(__m512 sums[ROWS][2]) {
    for (int i = 0; i < ROWS; i++) asm volatile("" ::"v"(sums[i][0]), "v"(sums[i][1]));
}

static void float32(void) {
    __m512 sums[ROWS][2];
    begin(sums);
    for (int k = 0; k < DEPTH; k++) {
        __m512 left = _mm512_loadu_ps(b[k]), right = _mm512_loadu_ps(b[k] + 16);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            __m512 x = _mm512_set1_ps(a[i][k]);
            sums[i][0] = _mm512_fmadd_ps(x, left, sums[i][0]);
            sums[i][1] = _mm512_fmadd_ps(x, right, sums[i][1]);
        }
    }
    use(sums);
}

static void bfloat16(void) {
    __m512 sums[ROWS][2];
    begin(sums);
    for (int k = 0; k < DEPTH; k++) {
        __m512bh left = b_pairs[k][0], right = b_pairs[k][1];
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32(a_pairs[i][k]);
            sums[i][0] = _mm512_dpbf16_ps(sums[i][0], x, left);
            sums[i][1] = _mm512_dpbf16_ps(sums[i][1], x, right);
        }
    }
    use(sums);
}

// GFLOP/s, the most of all runs. A step of the sum has so many products.
static double most(void (*tile)(void), int products) {
    double least = 1e9;
    for (int run = 0; run < RUNS; run++) {
        double began = now();
        for (int i = 0; i < TILES; i++) tile();
        double took = now() - began;
        if (took < least) least = took;
    }
    return 2.0 * TILES * ROWS * 32 * DEPTH * products / least / 1e9;
}

int main(void) {
    double single = most(float32, 1), half = most(bfloat16, 2);
    printf("float32 %.0f GFLOP/s, bfloat16 %.0f GFLOP/s: %.2f\n", single, half, half / single);
}
