/* GroupNorm with one group and the ReLU that may follow it, in fp32, images channels last: what norm.py calls.
 *
 * All passes over an image follow one another, so that all but the first find it in the processor's own cache. Channels
 * are a multiple of 16. Each image is computed alone: results do not depend on how images are split among threads.
 */
#include <math.h>

#include "vector.h"

typedef int32_t mask __attribute__((vector_size(4 * LANES)));

#define RUN 1024 /* floats that are summed in single precision before they go into a double */

INLINE vector all(float s) {
    return s - (vector){0};
}

INLINE double total(vector v) {
    double sum = ((double)v[0] + v[1]) + ((double)v[2] + v[3]);
    for (int i = 4; i < LANES; i += 4)
        sum += ((double)v[i] + v[i + 1]) + ((double)v[i + 2] + v[i + 3]);
    return sum;
}

/* The mean of (x - shift), or of its square. */
INLINE double mean_of(const float *x, i64 size, float shift, const int squared) {
    double sum = 0;
    for (i64 first = 0; first < size; first += RUN) {
        i64 end = first + RUN < size ? first + RUN : size;
        vector even = all(0), odd = all(0);
        for (i64 i = first; i < end; i += 2 * LANES) {
            vector a = LOAD(x + i) - all(shift), b = LOAD(x + i + LANES) - all(shift);
            even += squared ? a * a : a;
            odd += squared ? b * b : b;
        }
        sum += total(even) + total(odd);
    }
    return sum / (double)size;
}

INLINE vector without(vector values, mask which) {
    return (vector)((mask)values & ~which);
}

/* The values at x, normalized, with scale and shift. */
INLINE vector normalized(const float *x, vector mean, vector scale, const float *weight, const float *bias) {
    return (LOAD(x) - mean) * (LOAD(weight) * scale) + LOAD(bias);
}

/* y = (x - mean) / std * weight + bias, and with relu nothing below zero, for images of pixels x channels.
 * Keeps each image's mean and 1 / std in `statistics` (images x 2). */
int normalize(const float *x, const float *weight, const float *bias, float *y, float *statistics, i64 images,
              i64 pixels, i64 channels, double epsilon, i64 relu) {
    i64 size = pixels * channels;
    for (i64 n = 0; n < images; n++, x += size, y += size) {
        float middle = (float)mean_of(x, size, 0, 0);
        float over_std = (float)(1 / sqrt(mean_of(x, size, middle, 1) + epsilon));
        statistics[2 * n] = middle;
        statistics[2 * n + 1] = over_std;
        vector mean = all(middle), scale = all(over_std);
        for (i64 at = 0; at < size; at += channels)
            for (i64 c = 0; c < channels; c += LANES) {
                vector value = normalized(x + at + c, mean, scale, weight + c, bias + c);
                if (relu)
                    value = without(value, value < all(0)); /* a NaN is not below zero, and stays */
                STORE(y + at + c, value);
            }
    }
    return 0;
}

/* dx, and each image's part of the gradients of weight and bias (images x channels each). */
int normalize_gradient(const float *x, const float *dy, const float *weight, const float *bias,
                       const float *statistics, float *dx, float *dweight, float *dbias, i64 images, i64 pixels,
                       i64 channels, i64 relu) {
    i64 size = pixels * channels;
    for (i64 n = 0; n < images; n++, x += size, dy += size, dx += size, dweight += channels, dbias += channels) {
        float over_std = statistics[2 * n + 1];
        vector mean = all(statistics[2 * n]), scale = all(over_std);
        for (i64 c = 0; c < channels; c++)
            dweight[c] = dbias[c] = 0;
        for (i64 at = 0; at < size; at += channels)
            for (i64 c = 0; c < channels; c += LANES) {
                vector g = LOAD(dy + at + c);
                if (relu)
                    g = without(g, normalized(x + at + c, mean, scale, weight + c, bias + c) <= all(0));
                STORE(dweight + c, LOAD(dweight + c) + g * ((LOAD(x + at + c) - mean) * scale));
                STORE(dbias + c, LOAD(dbias + c) + g);
            }
        double by_value = 0, by_one = 0; /* means of weight * g * (x - mean) / std, and of weight * g */
        for (i64 c = 0; c < channels; c++) {
            by_value += (double)dweight[c] * weight[c] / (double)size;
            by_one += (double)dbias[c] * weight[c] / (double)size;
        }
        vector slope = all((float)by_value * over_std * over_std), level = all((float)by_one * over_std);
        for (i64 at = 0; at < size; at += channels)
            for (i64 c = 0; c < channels; c += LANES) {
                vector g = LOAD(dy + at + c), centred = LOAD(x + at + c) - mean;
                if (relu)
                    g = without(g, normalized(x + at + c, mean, scale, weight + c, bias + c) <= all(0));
                STORE(dx + at + c, g * (LOAD(weight + c) * scale) - centred * slope - level);
            }
    }
    return 0;
}
