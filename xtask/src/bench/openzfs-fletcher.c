/*
 * OpenZFS' own Fletcher-4, as its libzfs has it, over the same memory as ours:
 * the best of its implementations, in bytes per second.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	void *library = dlopen(argc > 1 ? argv[1] : "libzfs.so.6", RTLD_NOW);
	if (library == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	void (*init)(void) = (void (*)(void))dlsym(library, "fletcher_4_init");
	int (*choose)(const char *) =
	    (int (*)(const char *))dlsym(library, "fletcher_4_impl_set");
	int (*sum)(void *, size_t, void *) =
	    (int (*)(void *, size_t, void *))dlsym(library,
	    "fletcher_4_incremental_native");
	if (init == NULL || choose == NULL || sum == NULL) {
		fprintf(stderr, "the library has no Fletcher-4\n");
		return 1;
	}
	init();
	static const char *names[] = { "scalar", "superscalar", "superscalar4",
	    "sse2", "ssse3", "avx2", "avx512f", "avx512bw", "aarch64_neon" };
	size_t lengths[] = { 128 << 10, 256 << 20 };
	unsigned char *memory = malloc(lengths[1]);
	if (memory == NULL)
		return 1;
	for (size_t at = 0; at < lengths[1]; at++)
		memory[at] = at >> 9;
	for (int l = 0; l < 2; l++) {
		size_t length = lengths[l];
		int repeat = length < (8 << 20) ? (8 << 20) / length : 1;
		int passes = repeat > 1 ? 100 : 20;
		double best = 0;
		const char *which = "none";
		for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
			if (choose(names[n]) != 0)
				continue;
			for (int pass = 0; pass < passes; pass++) {
				uint64_t sums[4] = { 0 };
				double start = now();
				for (int r = 0; r < repeat; r++)
					sum(memory, length, sums);
				double rate = (double)length * repeat / (now() - start);
				if (rate > best) {
					best = rate;
					which = names[n];
				}
			}
		}
		printf("{\"length\":%zu,\"implementation\":\"%s\",\"rate\":%.0f}\n",
		    length, which, best);
	}
	return 0;
}
