/* Eight floats at once, which a compiler makes one AVX register of: what the layers in C share. */
#include <stdint.h>

typedef int64_t i64;
typedef float vector __attribute__((vector_size(32)));
typedef float unaligned __attribute__((vector_size(32), aligned(4), may_alias));

#define LANES 8
#define LOAD(from) (*(const unaligned *)(from))
#define STORE(to, value) (*(unaligned *)(to) = (value))
#define INLINE static inline __attribute__((always_inline))
