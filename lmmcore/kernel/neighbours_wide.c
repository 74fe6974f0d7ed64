/* neighbours.c once more, for processors with registers of eight numbers: see HAS_WIDE. */

#if defined(__x86_64__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512dq,avx512vl")
#define LANES 8
#define WIDE
#include "neighbours.c"
#endif
