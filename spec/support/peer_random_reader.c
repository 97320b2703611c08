/* peer_random_reader.c COUNT MILLISECONDS: document 3's b.c: prints the int32 at key 1234. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int id = shmget(1234, (size_t)getpagesize(), IPC_CREAT | 0600);
  if (id == -1) return perror("shmget"), 1;
  int *number = shmat(id, NULL, 0);
  if (number == (void *)-1) return perror("shmat"), 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 0; i < atoi(argv[1]); i++) {
    usleep((useconds_t)atoi(argv[2]) * 1000);
    printf("%d\n", *(volatile int *)number);
  }
  return 0;
}
