/* How maps are stored: what goes from layer to layer and the gradients of that, whose pointers are to `stored`. All else, such as
 * parameters, their gradients, statistics and losses, is float32 or float64, and so is what kernels compute with. Kernels whose names are
 * OF_MAPS have a form of each kind: kernels.ptx is made without BF16_MAPS, and bf16.ptx with it. Included by kernels.cu. */
#undef OF_MAPS
#ifdef BF16_MAPS
#define OF_MAPS(name) name##_bf16

/* The upper half of a float32, rounded to the nearest, and to an even one of two as near: what is too large becomes an infinity, and NaN
 * stays NaN, whatever half says so. By integers, which all GPUs and the simulator add alike. */
static __device__ __forceinline__ unsigned short bf16_of(float x) {
    word bits = __float_as_uint(x);
    if (x != x) return (unsigned short)(bits >> 16 | 0x40u);
    return (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* A bfloat16. It reads as float32, and rounds what it is assigned. There is no constructor: of a float and a stored, `?:` is a float. Of an
 * int and a stored it would be an int, so that zeros are written 0.0f there. */
struct stored {
    unsigned short bits;
    __device__ __forceinline__ operator float() const { return __uint_as_float((word)bits << 16); }
    __device__ __forceinline__ stored &operator=(float x) {
        bits = bf16_of(x);
        return *this;
    }
};

/* x as it reads once it is stored: what is added up beside being stored is what others will read. */
static __device__ __forceinline__ float as_stored(float x) { return __uint_as_float((word)bf16_of(x) << 16); }
#else
#define OF_MAPS(name) name
typedef float stored;
static __device__ __forceinline__ float as_stored(float x) { return x; }
#endif
