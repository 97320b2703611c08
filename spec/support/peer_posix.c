/*
 * peer_posix.c create|write|read|remove|flip NAME [TEXT]: document 0's POSIX way: shm_open,
 * ftruncate, mmap, shm_unlink. `create` makes an object of one page; `flip` changes the first eight
 * bytes from all A to all B and back, until it is killed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const char *command = argv[1], *name = argv[2];
  if (strcmp(command, "remove") == 0) return shm_unlink(name) == -1 ? perror("shm_unlink"), 1 : 0;
  int creating = strcmp(command, "create") == 0 ? O_CREAT | O_EXCL : 0;
  int fd = shm_open(name, O_RDWR | creating, 0600);
  if (fd == -1) return perror("shm_open"), 1;
  if (creating && ftruncate(fd, 4096) == -1) return perror("ftruncate"), 1;
  char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return perror("mmap"), 1;
  if (argc == 4) strcpy(memory, argv[3]);
  for (int i = 0; strcmp(command, "flip") == 0; i++) { /* slowly enough for others to see both */
    *(volatile unsigned long *)memory = i % 256 < 128 ? 0x4141414141414141 : 0x4242424242424242;
  }
  if (strcmp(command, "read") == 0) printf("%s\n", memory);
  return munmap(memory, 4096) == -1;
}
