/* peer_hello_writer.c: document 2's writer: key 13, 2048 bytes, 0666, a text with its NUL. */
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>

int main(void) {
  int id = shmget(13, 2048, IPC_CREAT | 0666);
  if (id == -1) return perror("shmget"), 1;
  char *memory = shmat(id, NULL, 0);
  if (memory == (void *)-1) return perror("shmat"), 1;
  strcpy(memory, "I'm share memory");
  return shmdt(memory) == -1;
}
