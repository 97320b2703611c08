/*
 * peer_semaphores.c create|bare|setval|values|op|textbook|remove KEY ...: System V semaphores as
 * plain C programs use them. `create V...` makes a set and sets it by SETALL; `bare N [MODE]`
 * makes one and sets nothing; `setval N I V` sets one by SETVAL; `values` prints all; `op I DELTA`
 * operates once; `textbook` waits, as textbooks have it, for the first operation, before it takes
 * from 0.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <unistd.h>

union semun {
  int val;
  struct semid_ds *buf;
  unsigned short *array;
};

static struct semid_ds status(int id) {
  struct semid_ds ds = {0};
  semctl(id, 0, IPC_STAT, (union semun){.buf = &ds});
  return ds;
}

static int operate(int id, int index, int delta) {
  struct sembuf step = {(unsigned short)index, (short)delta, 0};
  return semop(id, &step, 1) == -1 ? perror("semop"), 1 : 0;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const char *command = argv[1];
  int numbers[8] = {0}, count = argc - 3;
  unsigned short values[8] = {0};
  for (int i = 0; i < count && i < 8; i++)
    values[i] = (unsigned short)(numbers[i] = (int)strtol(argv[i + 3], NULL, 0));
  int creating = strcmp(command, "create") == 0;
  int making = creating || strcmp(command, "bare") == 0 || strcmp(command, "setval") == 0;
  int size = creating ? count : making ? numbers[0] : 0;
  int mode = strcmp(command, "bare") == 0 && count == 2 ? numbers[1] : 0600;
  int id = semget(atoi(argv[2]), size, making ? IPC_CREAT | IPC_EXCL | mode : 0);
  if (id == -1) return perror("semget"), 1;
  if (creating) return semctl(id, 0, SETALL, (union semun){.array = values}) == -1;
  if (strcmp(command, "setval") == 0)
    return semctl(id, numbers[1], SETVAL, (union semun){.val = numbers[2]}) == -1;
  if (strcmp(command, "op") == 0) return operate(id, numbers[0], numbers[1]);
  if (strcmp(command, "remove") == 0) return semctl(id, 0, IPC_RMID) == -1;
  if (strcmp(command, "textbook") == 0) {
    for (int i = 0; i < 10000 && status(id).sem_otime == 0; i++)
      usleep(1000);
    return status(id).sem_otime == 0 ? 3 : operate(id, 0, -1);
  }
  if (strcmp(command, "values") == 0) {
    int n = (int)status(id).sem_nsems;
    if (n > 8 || semctl(id, 0, GETALL, (union semun){.array = values}) == -1) return 1;
    for (int i = 0; i < n; i++)
      printf("%d ", values[i]);
    printf("\n");
  }
  return 0;
}
