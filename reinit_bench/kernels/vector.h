/* Vectors of floats, as long as a register of the processor: what the layers in C share. */
#include <stdint.h>

#ifdef __AVX2__
#define LANES 8
#else /* GCC does not split vectors that are longer than a register well: that was twenty times slower */
#define LANES 4
#endif

typedef int64_t i64;
typedef float vector __attribute__((vector_size(4 * LANES)));
typedef float unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define LOAD(from) (*(const unaligned *)(from))
#define STORE(to, value) (*(unaligned *)(to) = (value))
#define INLINE static inline __attribute__((always_inline))
