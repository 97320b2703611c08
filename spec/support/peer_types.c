/*
 * peer_types.c write|read|add|wake NAME [N]: the ten element types in a POSIX object, as C has
 * them: type t at byte 64 * t, aligned, and at 64 * t + 33, not. `add` adds 1 N times to the
 * uint32_t at byte 1024 with an atomic; `wake` sets the one at byte 1028 to 1 and wakes who sleeps
 * on it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EACH(X)                                                                                    \
  X(0, int8_t, PRId8, INT8_MIN)                                                                    \
  X(1, uint8_t, PRIu8, UINT8_MAX)                                                                  \
  X(2, int16_t, PRId16, INT16_MIN)                                                                 \
  X(3, uint16_t, PRIu16, UINT16_MAX)                                                               \
  X(4, int32_t, PRId32, INT32_MIN)                                                                 \
  X(5, uint32_t, PRIu32, UINT32_MAX)                                                               \
  X(6, int64_t, PRId64, INT64_MIN)                                                                 \
  X(7, uint64_t, PRIu64, UINT64_C(0x7ffffffffffffff1))                                             \
  X(8, float, ".9g", -1.5f)                                                                        \
  X(9, double, ".17g", 0.1)

static void store(char *memory) {
#define STORE(t, ctype, format, value)                                                             \
  do {                                                                                             \
    ctype element = value;                                                                         \
    memcpy(memory + 64 * (t), &element, sizeof element);                                           \
    memcpy(memory + 64 * (t) + 33, &element, sizeof element);                                      \
  } while (0);
  EACH(STORE)
}

static void print(const char *memory) {
#define PRINT(t, ctype, format, value)                                                             \
  do {                                                                                             \
    ctype aligned, unaligned;                                                                      \
    memcpy(&aligned, memory + 64 * (t), sizeof aligned);                                           \
    memcpy(&unaligned, memory + 64 * (t) + 33, sizeof unaligned);                                  \
    printf("%" format " %" format "\n", aligned, unaligned);                                       \
  } while (0);
  EACH(PRINT)
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  int fd = shm_open(argv[2], O_RDWR, 0);
  if (fd == -1) return perror("shm_open"), 1;
  char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return perror("mmap"), 1;
  _Atomic uint32_t *word = (_Atomic uint32_t *)(memory + 1024);
  if (strcmp(argv[1], "write") == 0) store(memory);
  if (strcmp(argv[1], "read") == 0) print(memory);
  if (strcmp(argv[1], "add") == 0)
    for (int i = 0; i < atoi(argv[3]); i++)
      atomic_fetch_add(word, 1);
  if (strcmp(argv[1], "wake") == 0) {
    atomic_store(&word[1], 1);
    printf("%ld\n", syscall(SYS_futex, &word[1], FUTEX_WAKE, 1, NULL, NULL, 0));
  }
  return 0;
}
