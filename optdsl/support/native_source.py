"""What every native kernel is made of: C for the element types, torch's arithmetic, and the work of all threads.

The text of a kernel is :data:`HEADER`, the optimizer's own part, then :data:`DRIVER`, or :data:`JOBS_DRIVER` where the
step of a tensor is several jobs. Macros choose the variant: for
each list of tensors ``<NAME>_T`` is its element type, for each flag ``<NAME>`` is 0 or 1, ``REAL`` is the type of the
arithmetic, and ``SCALED`` says that gradients are to be divided by ``grad_scale``.
"""

from __future__ import annotations

HEADER = r"""
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline, unused))

/* Element types. The half types are integers with conversions that compilers turn into vector code. */
typedef float F32;
typedef double F64;
typedef uint16_t BF16;
typedef struct { uint16_t bits; } F16;

INLINE float float_of(uint32_t bits) { float x; memcpy(&x, &bits, sizeof x); return x; }
INLINE uint32_t bits_of(float x) { uint32_t bits; memcpy(&bits, &x, sizeof bits); return bits; }

INLINE double load_f64(F64 x) { return x; }
INLINE float load_f32(F32 x) { return x; }
INLINE float load_bf16(BF16 x) { return float_of((uint32_t)x << 16); }
INLINE float load_f16(F16 x)
{
    const uint32_t sign = (uint32_t)(x.bits & 0x8000u) << 16, rest = (uint32_t)(x.bits & 0x7fffu) << 13;
    const uint32_t normal = rest + (112u << 23);
    const uint32_t subnormal = bits_of(float_of(rest + (113u << 23)) - float_of(113u << 23));
    const uint32_t special = rest + (224u << 23);
    return float_of(sign | (rest < (1u << 23) ? subnormal : rest >= (31u << 23) ? special : normal));
}

/* Rounding to nearest, ties to even; NaN stays NaN. */
INLINE F64 narrow_f64(double x) { return x; }
INLINE F32 narrow_f32(float x) { return x; }
INLINE BF16 narrow_bf16(float x)
{
    const uint32_t bits = bits_of(x);
    return x != x ? 0x7fc0u : (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
INLINE F16 narrow_f16(float x)
{
    const uint32_t sign = bits_of(x) & 0x80000000u, rest = bits_of(x) ^ sign;
    const uint32_t large = rest > 0x7f800000u ? 0x7e00u : 0x7c00u;
    const uint32_t subnormal = bits_of(float_of(rest) + float_of(126u << 23)) - (126u << 23);
    const uint32_t normal = (rest - (112u << 23) + 0xfffu + ((rest >> 13) & 1u)) >> 13;
    const uint32_t magnitude = rest >= (143u << 23) ? large : rest < (113u << 23) ? subnormal : normal;
    return (F16){(uint16_t)(magnitude | sign >> 16)};
}

#define LOAD(p, i) ((REAL)_Generic(*(p), F64: load_f64, F32: load_f32, BF16: load_bf16, F16: load_f16)((p)[i]))
#define STORE(p, i, x) \
    ((p)[i] = _Generic(*(p), F64: narrow_f64, F32: narrow_f32, BF16: narrow_bf16, F16: narrow_f16)(x))
#define NARROW(type, x) \
    _Generic((type){0}, F64: narrow_f64, F32: narrow_f32, BF16: narrow_bf16, F16: narrow_f16)(x)
#define LOAD_SCALAR(p) ((double)_Generic(*(p), F64: load_f64, F32: load_f32, BF16: load_bf16, F16: load_f16)(*(p)))
#define ROUND(type, x) LOAD_SCALAR(((type[1]){NARROW(type, x)}))
#define ROUND_ELEMENT(type, x) LOAD(((type[1]){NARROW(type, x)}), 0)
/* `variable` takes the value `x`; what was computed for the tensor before holds `again` if that is the same value. */
#define NEXT(variable, x) do { const double next = x; again &= next == variable; variable = next; } while (0)
#define PREFETCH(p, i) \
    for (unsigned line = 0; line < sizeof *(p); line++) \
        __builtin_prefetch((const char *)((p) + (i)) + PREFETCH_BYTES + 64 * line)

enum { CHUNK = 64, PREFETCH_BYTES = 1024 };

/* Arithmetic of elements, in REAL. Torch's vector code has fused multiply-adds where the machine has them. */
#if FUSED_MULTIPLY_ADD
#define MULTIPLY_ADD(a, b, c) _Generic((REAL)0, float: fmaf, double: fma)(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif
#define SQRT(x) _Generic((REAL)0, float: sqrtf, double: sqrt)(x)
#define ABS(x) _Generic((REAL)0, float: fabsf, double: fabs)(x)
#define EXP(x) _Generic((REAL)0, float: expf, double: exp)(x)
#define LOG(x) _Generic((REAL)0, float: logf, double: log)(x)
#define FLOOR(x) _Generic((REAL)0, float: floorf, double: floor)(x)
#define POW(x, y) _Generic((REAL)0, float: powf, double: pow)(x, y)

INLINE REAL lerp(REAL start, REAL end, REAL weight)
{
    const int near = ABS(weight) < (REAL)0.5;
    return MULTIPLY_ADD(near ? weight : weight - 1, end - start, near ? start : end);
}
/* NaN if either is; compilers make vector code of this order of comparisons, and not of others. */
INLINE REAL maximum(REAL a, REAL b) { const REAL c = a < b ? b : a; return b != b ? b : c; }
INLINE REAL minimum(REAL a, REAL b) { const REAL c = a > b ? b : a; return b != b ? b : c; }
INLINE REAL at_least(REAL x, REAL bound) { return x < bound ? bound : x; }
INLINE REAL at_most(REAL x, REAL bound) { return x > bound ? bound : x; }
INLINE REAL sign(REAL x) { return (REAL)(x > 0) - (REAL)(x < 0); }
INLINE REAL through_bf16(REAL x) { return load_bf16(narrow_bf16((float)x)); }
INLINE REAL through_f32(REAL x) { return (float)x; }
INLINE REAL integer_power(REAL x, int n) { REAL y = x; while (--n) y *= x; return y; }

extern void GOMP_parallel(void (*)(void *), void *, unsigned, unsigned) __attribute__((weak));
extern void GOMP_barrier(void) __attribute__((weak));
extern int omp_get_thread_num(void) __attribute__((weak));
extern int omp_get_num_threads(void) __attribute__((weak));

/* Arithmetic of scalars, in double. */
INLINE double scalar_maximum(double a, double b) { return a != a ? a : b != b ? b : a > b ? a : b; }
INLINE double scalar_minimum(double a, double b) { return a != a ? a : b != b ? b : a < b ? a : b; }
INLINE double scalar_sign(double x) { return (x > 0) - (x < 0); }
"""

DRIVER = r"""
struct work {
    int64_t tensors;
    const int64_t *offsets;
    void *const *addresses;
    const struct scalars *scalars;
    double grad_scale;
    int threads;
};

/* Makes the step of the elements from `first` to `last`, counted over all tensors one after another. */
static void step_range(const struct work *work, int64_t first, int64_t last)
{
    int64_t low = 0, high = work->tensors;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (work->offsets[middle] <= first)
            low = middle;
        else
            high = middle;
    }
    for (int64_t tensor = low; tensor < work->tensors && work->offsets[tensor] < last; tensor++) {
        const int64_t start = work->offsets[tensor], end = work->offsets[tensor + 1];
        const int64_t from = first > start ? first - start : 0, to = (last < end ? last : end) - start;
        if (from < to)
            step_tensor(from, to, work->addresses + tensor, work->tensors, work->scalars + tensor,
                        (REAL)work->grad_scale);
    }
}

/* Boundary number `i` of `n` equal parts of `total`, at a multiple of a chunk. */
static int64_t boundary(int64_t total, int i, int n)
{
    return i == n ? total : (int64_t)((double)total * i / n) / CHUNK * CHUNK;
}

static void thread_main(void *data)
{
    const struct work *work = data;
    const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    const int64_t total = work->offsets[work->tensors];
    step_range(work, boundary(total, thread, threads), boundary(total, thread + 1, threads));
}

int64_t scalars_size(void) { return sizeof(struct scalars); }

/* One step of all tensors. `offsets`: tensors + 1 sums of sizes; `addresses`: a row of pointers for each list;
   `scalars`: room for those of each tensor. */
void step(int64_t tensors, const int64_t *offsets, void *const *addresses, const double *hypers,
          struct scalars *scalars, double grad_scale, int threads)
{
    const struct work work = {tensors, offsets, addresses, scalars, grad_scale, threads};
    prepare(tensors, addresses, hypers, scalars);
    if (threads > 1 && GOMP_parallel && omp_get_thread_num && omp_get_num_threads)
        GOMP_parallel(thread_main, (void *)&work, threads, 0);
    else
        step_range(&work, 0, offsets[tensors]);
}
"""

JOBS_DRIVER = r"""
enum { LARGE = 1 << 20 }; /* Tensors of so many elements are stepped by all threads together. */

struct work {
    int64_t tensors;
    const struct shape *shapes;
    void *const *addresses;
    const struct scalars *scalars;
    double grad_scale;
    struct tensor *large;
    int64_t large_tensors, small_elements;
};

/* All jobs of a tensor, in order. */
static void step_alone(const struct work *work, int64_t i)
{
    struct tensor t;
    open_tensor(&t, work->shapes[i], work->addresses + i, work->tensors, work->scalars + i, (REAL)work->grad_scale);
    for (int job = 0; job < JOBS; job++) {
        for (int64_t block = 0; block < (is_pass(job) ? t.blocks : 1); block++)
            run_job(&t, job, block);
        end_pass(&t, job);
    }
    close_tensor(&t);
}

/* The same by all threads: they share the blocks of each pass. */
static void step_together(struct tensor *t, int thread, int threads)
{
    for (int job = 0; job < JOBS; job++) {
        if (is_pass(job)) {
            GOMP_barrier();
            for (int64_t block = thread; block < t->blocks; block += threads)
                run_job(t, job, block);
            GOMP_barrier();
            if (thread == 0)
                end_pass(t, job);
        } else if (thread == 0) {
            run_job(t, job, 0);
        }
    }
}

/* Makes the step of the small tensors whose middle is in part `part` of `parts` equal parts of their elements. */
static void step_part(const struct work *work, int part, int parts)
{
    double before = 0;
    for (int64_t i = 0; i < work->tensors; i++) {
        const int64_t numel = work->shapes[i].numel;
        if (work->large && numel >= LARGE)
            continue;
        const int own = (int)((before + 0.5 * (double)numel) / ((double)work->small_elements + 1) * parts);
        before += (double)numel;
        if (own == part)
            step_alone(work, i);
    }
}

static void thread_main(void *data)
{
    const struct work *work = data;
    const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    for (int64_t i = 0; i < work->large_tensors; i++)
        step_together(work->large + i, thread, threads);
    step_part(work, thread, threads);
}

int64_t scalars_size(void) { return sizeof(struct scalars); }

/* One step of all tensors. `addresses`: a row of pointers for each list; `scalars`: room for those of each tensor;
   `facts`: a row of numbers for each fact about the parameters. `offsets` are not needed. */
void step(int64_t tensors, const int64_t *offsets, void *const *addresses, const double *hypers,
          struct scalars *scalars, double grad_scale, int threads, const struct shape *shapes, const double *facts)
{
    struct work work = {tensors, shapes, addresses, scalars, grad_scale};
    prepare(tensors, addresses, hypers, scalars, facts);
    if (threads > 1 && GOMP_parallel && GOMP_barrier && omp_get_thread_num && omp_get_num_threads)
        work.large = malloc((tensors + 1) * sizeof *work.large);
    for (int64_t i = 0; i < tensors; i++) {
        if (work.large && shapes[i].numel >= LARGE)
            open_tensor(&work.large[work.large_tensors++], shapes[i], addresses + i, tensors, scalars + i,
                        (REAL)grad_scale);
        else
            work.small_elements += shapes[i].numel;
    }
    if (work.large)
        GOMP_parallel(thread_main, &work, threads, 0);
    else
        step_part(&work, 0, 1);
    for (int64_t i = 0; i < work.large_tensors; i++)
        close_tensor(&work.large[i]);
    free(work.large);
}
"""
