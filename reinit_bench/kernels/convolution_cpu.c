/* 3x3 convolutions of stride 1 and padding 1 in fp32, images channels last: what convolution_cpu.py calls.
 *
 * Winograd's algorithm F(2x2, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016): each
 * 2x2 of the output needs 16 multiplications instead of 36. It goes through the images in blocks of tiles whose
 * transformed values stay in the processor's own cache.
 *
 * Sums are taken in an order that depends on the shapes alone, so that results do not depend on how the caller splits
 * images or channels among threads. Functions that can fail return 1 when out of memory, otherwise 0.
 */
#include <stdlib.h>
#include <string.h>

#include "vector.h"

#define PANEL 16 /* columns that one pass of the matrix product works on */
#define VECTORS (PANEL / LANES)
#define POINTS 16 /* of a transformed 4x4 tile */

typedef struct {
    i64 height, width, inputs, outputs;
} shape;

static float *scratch(i64 floats) {
    return aligned_alloc(64, (size_t)((floats * 4 + 63) / 64 * 64));
}

/* The matrix product C = A B, or C += A B. A's element (i, k) is at `row * i + column * k`; B comes in panels of 16
 * columns with `row` floats from one row to the next. */
typedef struct {
    const float *data;
    i64 row, column;
} left;

typedef struct {
    const float *data;
    i64 row, panel;
} right;

INLINE void rows_by_panel(const int rows, left a, const float *b, i64 b_row, i64 depth, float *c, i64 c_row,
                          const int add) {
    vector sums[6][VECTORS]; /* with a row of B's panel, as many as 16 registers hold (of NEON, 32) */
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++)
            sums[i][j] = add ? LOAD(c + i * c_row + j * LANES) : (unaligned){0};
    for (i64 k = 0; k < depth; k++, a.data += a.column, b += b_row) {
        vector panel[VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++)
            panel[j] = LOAD(b + j * LANES);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < VECTORS; j++)
                sums[i][j] += a.data[i * a.row] * panel[j];
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++)
            STORE(c + i * c_row + j * LANES, sums[i][j]);
}

/* Columns are a multiple of 16. */
INLINE void multiply(left a, right b, i64 rows, i64 columns, i64 depth, float *c, i64 c_row, const int add) {
    for (i64 j = 0; j < columns; j += PANEL) {
        const float *panel = b.data + j / PANEL * b.panel;
        left below = a;
        float *to = c + j;
        for (i64 rest = rows, taken; rest > 0; rest -= taken) {
            taken = rest < 6 ? rest : rest < 10 && rest > 6 ? (rest + 1) / 2 : 6; /* 8 is 4 and 4, not 6 and 2 */
#define CASE(count)                                                                                                    \
    case count:                                                                                                        \
        rows_by_panel(count, below, panel, b.row, depth, to, c_row, add);                                              \
        break;
            switch (taken) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) }
#undef CASE
            below.data += taken * a.row;
            to += taken * c_row;
        }
    }
}

/* Where tile number `tile` of the images is: 2x2 pixels of the output, or fewer at an odd image's edge. */
typedef struct {
    i64 image, y, x;
} place;

INLINE place place_of(i64 tile, shape s) {
    i64 across = (s.width + 1) / 2, down = (s.height + 1) / 2;
    return (place){tile / (across * down), 2 * (tile / across % down), 2 * (tile % across)};
}

/* B'dB of the 4x4 pixels around each tile: v is 16 x block x channels; `channels` of an image's `pixel` are taken. */
INLINE void transform_images(const float *x, shape s, i64 pixel, i64 channels, i64 first, i64 count, i64 block,
                             const float *zeros, float *v) {
    i64 next = block * channels;
    for (i64 t = 0; t < count; t++) {
        place at = place_of(first + t, s);
        const float *pixels[4][4];
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                i64 row = at.y - 1 + i, column = at.x - 1 + j;
                int outside = row < 0 || row >= s.height || column < 0 || column >= s.width;
                pixels[i][j] = outside ? zeros : x + ((at.image * s.height + row) * s.width + column) * pixel;
            }
        for (i64 c = 0; c < channels; c += LANES) {
            vector half[4][4];
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                vector d0 = LOAD(pixels[0][j] + c), d1 = LOAD(pixels[1][j] + c);
                vector d2 = LOAD(pixels[2][j] + c), d3 = LOAD(pixels[3][j] + c);
                half[0][j] = d0 - d2;
                half[1][j] = d1 + d2;
                half[2][j] = d2 - d1;
                half[3][j] = d1 - d3;
            }
            float *to = v + t * channels + c;
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++, to += 4 * next) {
                STORE(to, half[i][0] - half[i][2]);
                STORE(to + next, half[i][1] + half[i][2]);
                STORE(to + 2 * next, half[i][2] - half[i][1]);
                STORE(to + 3 * next, half[i][1] - half[i][3]);
            }
        }
    }
}

/* A'mA plus the bias (or nothing): from 16 x block x outputs to the tiles' pixels. */
INLINE void transform_products(const float *m, const float *bias, shape s, i64 first, i64 count, i64 block, float *y) {
    i64 next = block * s.outputs;
    for (i64 t = 0; t < count; t++) {
        place at = place_of(first + t, s);
        float *to = y + ((at.image * s.height + at.y) * s.width + at.x) * s.outputs;
        int beside = at.x + 1 < s.width, below = at.y + 1 < s.height;
        i64 down = s.width * s.outputs;
        for (i64 c = 0; c < s.outputs; c += LANES) {
            const float *from = m + t * s.outputs + c;
            vector half[2][4], b = bias ? LOAD(bias + c) : (unaligned){0};
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                vector m0 = LOAD(from + j * next), m1 = LOAD(from + (4 + j) * next);
                vector m2 = LOAD(from + (8 + j) * next), m3 = LOAD(from + (12 + j) * next);
                half[0][j] = m0 + m1 + m2;
                half[1][j] = m1 - m2 - m3;
            }
            STORE(to + c, half[0][0] + half[0][1] + half[0][2] + b);
            if (beside)
                STORE(to + s.outputs + c, half[0][1] - half[0][2] - half[0][3] + b);
            if (below)
                STORE(to + down + c, half[1][0] + half[1][1] + half[1][2] + b);
            if (beside && below)
                STORE(to + down + s.outputs + c, half[1][1] - half[1][2] - half[1][3] + b);
        }
    }
}

/* AgA' of each tile's gradient g: q is 16 x block x outputs. Point 5 is the tile's sum: added to `bias` unless NULL. */
INLINE void transform_gradients(const float *dy, shape s, i64 first, i64 count, i64 block, const float *zeros, float *q,
                                float *bias) {
    i64 next = block * s.outputs;
    for (i64 t = 0; t < count; t++) {
        place at = place_of(first + t, s);
        const float *g = dy + ((at.image * s.height + at.y) * s.width + at.x) * s.outputs;
        int beside = at.x + 1 < s.width, below = at.y + 1 < s.height;
        i64 down = s.width * s.outputs;
        const float *g01 = beside ? g + s.outputs : zeros, *g10 = below ? g + down : zeros,
                    *g11 = beside && below ? g + down + s.outputs : zeros;
        for (i64 c = 0; c < s.outputs; c += LANES) {
            vector a = LOAD(g + c), b = LOAD(g01 + c), d = LOAD(g10 + c), e = LOAD(g11 + c);
            vector half[4][2] = {{a, b}, {a + d, b + e}, {a - d, b - e}, {-d, -e}};
            float *to = q + t * s.outputs + c;
            if (bias)
                STORE(bias + c, LOAD(bias + c) + (half[1][0] + half[1][1]));
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++, to += 4 * next) {
                STORE(to, half[i][0]);
                STORE(to + next, half[i][0] + half[i][1]);
                STORE(to + 2 * next, half[i][0] - half[i][1]);
                STORE(to + 3 * next, -half[i][1]);
            }
        }
    }
}

/* Tiles at a time: their transformed values, of both sides, take at most a quarter of an MB. */
static i64 tiles_at_once(i64 channels) {
    i64 tiles = (1 << 18) / (4 * POINTS * channels) / 6 * 6;
    return tiles < 12 ? 12 : tiles > 24 ? 24 : tiles;
}

/* y (images, height, width, outputs) of x (images, height, width, inputs).
 * u: the transformed kernel, 16 points x outputs / 16 panels x inputs x 16. bias: NULL for none. */
int winograd(const float *x, const float *u, const float *bias, float *y, i64 images, i64 height, i64 width, i64 inputs,
             i64 outputs) {
    shape s = {height, width, inputs, outputs};
    i64 tiles = images * ((height + 1) / 2) * ((width + 1) / 2), block = tiles_at_once(inputs + outputs);
    float *zeros = scratch(inputs), *v = scratch(POINTS * block * inputs), *m = scratch(POINTS * block * outputs);
    int failed = !zeros || !v || !m;
    if (!failed)
        memset(zeros, 0, (size_t)inputs * 4);
    for (i64 first = 0; first < tiles && !failed; first += block) {
        i64 count = tiles - first < block ? tiles - first : block;
        transform_images(x, s, inputs, inputs, first, count, block, zeros, v);
        for (i64 p = 0; p < POINTS; p++)
            multiply((left){v + p * block * inputs, inputs, 1}, (right){u + p * inputs * outputs, PANEL, inputs * PANEL},
                     count, outputs, inputs, m + p * block * outputs, outputs, 0);
        transform_products(m, bias, s, first, count, block, y);
    }
    free(zeros), free(v), free(m);
    return failed;
}

/* Adds to the transformed kernel's gradient du (16 x inputs x outputs) and, unless NULL, to the bias's. Of the inputs
 * it takes `channels` from `channel` on: the others belong to other threads. */
int winograd_gradient(const float *x, const float *dy, float *du, float *bias, i64 images, i64 height, i64 width,
                      i64 inputs, i64 outputs, i64 channel, i64 channels) {
    shape s = {height, width, inputs, outputs};
    /* From `inputs`, not `channels`: the order of the sums must not depend on the number of threads. */
    i64 tiles = images * ((height + 1) / 2) * ((width + 1) / 2), block = tiles_at_once(inputs + outputs);
    i64 most = inputs > outputs ? inputs : outputs;
    float *zeros = scratch(most), *v = scratch(POINTS * block * channels), *q = scratch(POINTS * block * outputs);
    int failed = !zeros || !v || !q;
    if (!failed)
        memset(zeros, 0, (size_t)most * 4);
    for (i64 first = 0; first < tiles && !failed; first += block) {
        i64 count = tiles - first < block ? tiles - first : block;
        transform_images(x + channel, s, inputs, channels, first, count, block, zeros, v);
        transform_gradients(dy, s, first, count, block, zeros, q, bias);
        for (i64 p = 0; p < POINTS; p++)
            multiply((left){v + p * block * channels, 1, channels}, (right){q + p * block * outputs, outputs, PANEL},
                     channels, outputs, count, du + (p * inputs + channel) * outputs, outputs, 1);
    }
    free(zeros), free(v), free(q);
    return failed;
}
