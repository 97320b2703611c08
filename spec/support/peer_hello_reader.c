/* peer_hello_reader.c: document 2's reader: prints the text at key 13 and removes the segment. */
#include <stdio.h>
#include <sys/shm.h>

int main(void) {
  int id = shmget(13, 2048, IPC_CREAT | 0666);
  if (id == -1) return perror("shmget"), 1;
  char *memory = shmat(id, NULL, 0);
  if (memory == (void *)-1) return perror("shmat"), 1;
  printf("shm = %s\n", memory);
  shmdt(memory);
  if (shmctl(id, IPC_RMID, NULL) == -1) return perror("shmctl"), 1;
  printf("delete shm success.\n");
  return 0;
}
