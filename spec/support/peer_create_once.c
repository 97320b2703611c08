/* peer_create_once.c PATH: document 1's example: ftok(PATH, 0x14), IPC_CREAT | IPC_EXCL. */
#include <stdio.h>
#include <sys/shm.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  key_t key = ftok(argv[1], 0x14);
  int id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);
  if (id == -1) return perror("shmget error"), 1;
  printf("shmget success, key: %d, shmId: %d\n", key, id);
  return 0;
}
