// Times the tile of a matrix product, 8 rows by two vectors, in float32 and in bfloat16 with float32
// sums (VDPBF16PS): what AVX512_BF16 could gain where products are all there is. On a CPU with AMX it
// times four of its tiles as well (TDPBF16PS), 32 rows by 32 columns, whose rows begin on a cache line, and
// the same with rows of the left factor that do not.
//
//     gcc -O3 -mavx512f -mavx512bf16 -mamx-tile -mamx-bf16 -o bf16 scripts/bench/bf16.c && ./bf16

#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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

// What LDTILECFG reads.
struct shapes {
    unsigned char palette, start, reserved[14];
    unsigned short bytes[16];
    unsigned char rows[16];
};

// GFLOP/s of sums of 512 products, whose left rows begin so many bytes behind a cache line: the most of all
// runs. The factors are in the second-level cache.
static double tiles(char *left, char *right, float *sums, int behind) {
    enum { CHUNKS = 16, ROW = 64 * CHUNKS + 64, OTHERS = 8 };
    double least = 1e9;
    for (int run = 0; run < RUNS; run++) {
        double began = now();
        for (int i = 0; i < TILES; i++) {
            char *x = left + i % OTHERS * 32 * ROW + behind, *y = right + i % OTHERS * CHUNKS * 2048;
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
            for (int k = 0; k < CHUNKS; k++) {
                _tile_loadd(4, x + 64 * k, ROW);
                _tile_loadd(5, x + 64 * k + 16 * ROW, ROW);
                _tile_loadd(6, y + 2048 * k, 64);
                _tile_loadd(7, y + 2048 * k + 1024, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, sums, 128);
            _tile_stored(1, sums + 16, 128);
            _tile_stored(2, sums + 512, 128);
            _tile_stored(3, sums + 528, 128);
        }
        double took = now() - began;
        if (took < least) least = took;
    }
    return 2.0 * TILES * 32 * 32 * 32 * CHUNKS / least / 1e9;
}

// Linux lets a process use the tiles that has asked for them; see arch_prctl(2).
static int have_tiles(void) {
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    return __builtin_cpu_supports("amx-bf16") && syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

int main(void) {
    double single = most(float32, 1), half = most(bfloat16, 2);
    printf("float32 %.0f GFLOP/s, bfloat16 %.0f GFLOP/s: %.2f\n", single, half, half / single);
    if (!have_tiles()) {
        printf("no AMX\n");
        return 0;
    }
    struct shapes shapes = {.palette = 1};
    for (int i = 0; i < 8; i++) shapes.bytes[i] = 64, shapes.rows[i] = 16;
    _tile_loadconfig(&shapes);
    enum { FACTORS = 1 << 20 };
    char *left = aligned_alloc(64, FACTORS), *right = aligned_alloc(64, FACTORS);
    float *sums = aligned_alloc(64, 4096);
    memset(left, 0, FACTORS), memset(right, 0, FACTORS);
    double whole = tiles(left, right, sums, 0), split = tiles(left, right, sums, 32);
    _tile_release();
    printf("AMX %.0f GFLOP/s: %.1f; rows that do not begin on a cache line %.0f\n", whole, whole / single, split);
}
