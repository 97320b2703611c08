/* peer_letters_client.c COUNT MILLISECONDS: document 4's client: prints the string of 'A's. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int id = shmget(ftok("/tmp", 0x666), 0, 0);
  if (id == -1) return perror("shmget"), 1;
  char *letters = shmat(id, NULL, SHM_RDONLY);
  if (letters == (void *)-1) return perror("shmat"), 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 0; i < atoi(argv[1]); i++) {
    printf("%s\n", letters);
    usleep((useconds_t)atoi(argv[2]) * 1000);
  }
  return shmdt(letters) == -1;
}
