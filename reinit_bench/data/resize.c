/* Bilinear resizing of uint8 images, channels last: what resize.py calls.
 *
 * Each output is a + (b - a) * weight in single precision, along the rows and then between two of them: the operations
 * of `resize.py`'s own way, one by one and in its order, so both give the same bits. Compile with -ffp-contract=off.
 */
#include <stdint.h>
#include <string.h>

typedef intptr_t intp; /* numpy.intp */

static inline void blend_pixels(const float *image_row, float *restrict out, const intp *left, const intp *right, const float *across,
                         intp side, const intp channels) {
    for (intp x = 0; x < side; x++) {
        const float *a = image_row + left[x] * channels, *b = image_row + right[x] * channels;
        for (intp c = 0; c < channels; c++) out[x * channels + c] = a[c] + (b[c] - a[c]) * across[x];
    }
}

/* `whole` has room for a row of the image, `blended` for two rows of the output. */
void resize(const uint8_t *image, uint8_t *restrict out, intp width, intp side, intp channels, const intp *above,
            const intp *below, const float *down, const intp *left, const intp *right, const float *across,
            float *restrict whole, float *blended) {
    intp held[2] = {-1, -1}; /* which row of the image each half of `blended` was made from */
    float *rows[2] = {blended, blended + side * channels};
    for (intp y = 0; y < side; y++) {
        const int first = held[1] == above[y]; /* last time's lower row is often this time's upper one */
        const intp wanted[2] = {above[y], below[y]};
        for (int which = 0; which < 2; which++) {
            const int half = which ^ first;
            if (held[half] == wanted[which]) continue;
            const uint8_t *from = image + wanted[which] * width * channels;
            for (intp i = 0; i < width * channels; i++) whole[i] = from[i];
            if (channels == 3) /* the compiler unrolls a number that it knows */
                blend_pixels(whole, rows[half], left, right, across, side, 3);
            else
                blend_pixels(whole, rows[half], left, right, across, side, channels);
            held[half] = wanted[which];
        }
        const float *restrict top = rows[first], *restrict bottom = rows[!first];
        for (intp i = 0; i < side * channels; i++) {
            /* From 2^23 on, floats are whole numbers: adding it rounds, ties to even, into the lowest bits. */
            const float rounded = top[i] + (bottom[i] - top[i]) * down[y] + 8388608.0f;
            uint32_t bits;
            memcpy(&bits, &rounded, sizeof bits);
            out[y * side * channels + i] = (uint8_t)bits;
        }
    }
}
