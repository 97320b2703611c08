/* peer_random_writer.c COUNT MILLISECONDS: document 3's a.c, with mode bits; leaves its segment. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  srandom((unsigned)time(NULL));
  int id = shmget(1234, (size_t)getpagesize(), IPC_CREAT | 0600);
  if (id == -1) return perror("shmget"), 1;
  int *number = shmat(id, NULL, 0);
  if (number == (void *)-1) return perror("shmat"), 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 0; i < atoi(argv[1]); i++) {
    *(volatile int *)number = (int)(random() % 1000);
    printf("write a random number %d\n", *number);
    usleep((useconds_t)atoi(argv[2]) * 1000);
  }
  return 0;
}
