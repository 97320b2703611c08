/*
 * boost.cpp: Boost's message_queue, as a carrier for channel.lua. Touches Boost.Interprocess.
 */
#include <boost/interprocess/ipc/message_queue.hpp>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <unistd.h>

extern "C" {
#include "carrier.h"
}

using boost::interprocess::message_queue;

struct boost_queue {
  struct carrier base;
  message_queue *queues[WAYS];
};

static inline void boost_queue_send(struct boost_queue *self, int way) {
  self->queues[way]->send(self->base.message, self->base.length, 0);
}

static inline void boost_queue_receive(struct boost_queue *self, int way) {
  message_queue::size_type length;
  unsigned priority;
  self->queues[way]->receive(self->base.message, self->base.length, length, priority);
  if (length != self->base.length) abort();
}

CARRIER_METHODS(boost_queue, struct boost_queue)

/* boost(length): queues of as many messages as our ring has, at most a thousand; their names are
 * gone at once. */
static int new_boost(lua_State *L) {
  auto self = static_cast<boost_queue *>(push_carrier(L, sizeof(boost_queue), boost_queue_methods));
  std::size_t room = std::clamp<std::size_t>((1 << 18) / self->base.length, 16, 1000);
  std::string name = "shm-bench-" + std::to_string(getpid());
  for (auto &queue : self->queues) {
    queue =
        new message_queue(boost::interprocess::create_only, name.c_str(), room, self->base.length);
    message_queue::remove(name.c_str());
  }
  return 1;
}

extern "C" __attribute__((visibility("default"))) int luaopen_boost(lua_State *L) {
  lua_pushcfunction(L, new_boost);
  return 1;
}
