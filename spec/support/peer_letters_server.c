/*
 * peer_letters_server.c COUNT MILLISECONDS: document 4's server: ftok("/tmp", 0x666), exclusive, a
 * growing string of 'A's. Waits for the end of its standard input before it removes the segment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int id = shmget(ftok("/tmp", 0x666), 4096, IPC_CREAT | IPC_EXCL | 0644);
  if (id == -1) return perror("shmget"), 1;
  volatile char *letters = shmat(id, NULL, 0);
  if (letters == (void *)-1) return perror("shmat"), 1;
  for (int i = 0; i < atoi(argv[1]) && i < 4095; i++) {
    letters[i + 1] = 0;
    letters[i] = 'A';
    usleep((useconds_t)atoi(argv[2]) * 1000);
  }
  printf("written\n");
  fflush(stdout);
  while (getchar() != EOF) {
  }
  shmdt((void *)letters);
  return shmctl(id, IPC_RMID, NULL) == -1;
}
