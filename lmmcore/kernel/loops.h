/* What the compiled loops share: a function in the instructions of more than one kind of processor.

   FOR_PROCESSORS makes name_any and, where there is such a kind, name_avx2 of the inline function name;
   CHOSEN(name) is the one in use. All give the same to the last bit: the sums are made in the same order, and the
   compiler may not join products and sums to one operation (-ffp-contract=off), which costs no time here. */

#include <stddef.h>
#include <string.h>

#ifndef LANES
#define LANES 4  /* subjects at a time */
#endif

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

typedef long long bits __attribute__((vector_size(LANES * sizeof(long long))));

#define INLINE static inline __attribute__((always_inline))

/* The instructions in use, which border.c chooses: PLAIN, or more where the processor has them. */
enum { PLAIN, AVX2, AVX512 };
extern int lmm_instructions;

/* Whether the compiler has a way to use registers of eight numbers for a whole file. */
#if defined(__x86_64__) && !defined(__clang__)
#define HAS_WIDE (lmm_instructions == AVX512)
#else
#define HAS_WIDE 0
#endif

#if defined(__x86_64__)
#define FOR_PROCESSORS(result, name, arguments, values)                                                     \
    static result name##_any arguments { return name values; }                                              \
    __attribute__((target("avx2"))) static result name##_avx2 arguments { return name values; }
#define CHOSEN(name) (lmm_instructions >= AVX2 ? name##_avx2 : name##_any)
#else
#define FOR_PROCESSORS(result, name, arguments, values)                                                     \
    static result name##_any arguments { return name values; }
#define CHOSEN(name) name##_any
#endif

/* name_of_any : the inline function name, whose first argument d, the number of columns, is known to the compiler
   where it is 3, as in most models: 1, t and y. */
#define FOR_COLUMNS(name, arguments, ...)                                                                   \
    INLINE void name##_of_any arguments                                                                     \
    {                                                                                                       \
        if (d == 3)                                                                                         \
            name(3, __VA_ARGS__);                                                                           \
        else                                                                                                \
            name(d, __VA_ARGS__);                                                                           \
    }

INLINE double added(lanes x)
{
    return (x[0] + x[1]) + (x[2] + x[3]);
}

/* The next lanes of a row, 0 beyond the last subject: such a subject adds nothing. */
INLINE lanes load(const double *row, long left)
{
    lanes found = {0};
    if (left >= LANES)
        memcpy(&found, row, sizeof found);
    else
        memcpy(&found, row, left * sizeof(double));
    return found;
}

/* The opposite: only what is left of the row is written. */
INLINE void store(double *row, lanes x, long left)
{
    if (left >= LANES)
        memcpy(row, &x, sizeof x);
    else
        memcpy(row, &x, left * sizeof(double));
}
