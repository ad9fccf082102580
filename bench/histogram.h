/* A histogram of latencies: exact to 1 us below one second, to 1 ms above; the largest is kept exactly. For load.c only. */
#include <stdint.h>
#include <stdio.h>

enum { FINE = 1 << 20, COARSE = 100000 };

struct histogram {
    uint32_t fine[FINE], coarse[COARSE];
    uint64_t count, sum_ns, max_ns;
};

static void record(struct histogram *h, uint64_t ns) {
    uint64_t us = ns / 1000;
    if (us < FINE) h->fine[us]++;
    else h->coarse[us / 1000 < COARSE ? us / 1000 : COARSE - 1]++;
    h->count++;
    h->sum_ns += ns;
    if (ns > h->max_ns) h->max_ns = ns;
}

/* The smallest recorded value, in us, that at least this share of all values does not exceed. */
static double quantile(const struct histogram *h, double share) {
    uint64_t rank = (uint64_t)(share * (double)h->count), seen = 0;
    if ((double)rank < share * (double)h->count) rank++;
    if (rank == 0) rank = 1;
    for (int i = 0; i < FINE; i++)
        if ((seen += h->fine[i]) >= rank) return i;
    for (int i = 0; i < COARSE; i++)
        if ((seen += h->coarse[i]) >= rank) return i * 1000.0;
    return 0;
}

/* Prints it as a member of a JSON object. */
static void show(const char *name, const struct histogram *h) {
    printf("\"%s\": {\"count\": %llu, \"mean_us\": %.2f, \"p50_us\": %.0f, \"p90_us\": %.0f, \"p99_us\": %.0f, "
           "\"p999_us\": %.0f, \"max_us\": %.1f}, ",
           name, (unsigned long long)h->count, h->count ? (double)h->sum_ns / (double)h->count / 1000 : 0.0,
           quantile(h, .5), quantile(h, .9), quantile(h, .99), quantile(h, .999), (double)h->max_ns / 1000);
}
