/* The limit: a C program on librabbitmq that publishes with confirms and reads nothing from an archive.
 *
 * usage: republish PORT QUEUE MESSAGES SIZE WINDOW
 * prints: seconds and CPU seconds from the first publish to the last confirm
 *
 * librabbitmq writes each frame at once. So the frames of a message are three writes, unless the socket waits for more: TCP_CORK
 * collects them until the window is full.
 */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_utime.tv_usec / 1e6 + u.ru_stime.tv_sec + u.ru_stime.tv_usec / 1e6;
}

static void expect(amqp_rpc_reply_t reply, const char *what) {
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
    fprintf(stderr, "republish: %s failed\n", what);
    exit(1);
  }
}

/* Wait for one confirm. Return how many messages it confirms for the first time. `low`: all up to this tag are confirmed. */
static long confirmed(amqp_connection_state_t connection, unsigned char *seen, long *low) {
  amqp_frame_t frame;
  amqp_maybe_release_buffers(connection);
  if (amqp_simple_wait_frame(connection, &frame) != AMQP_STATUS_OK) {
    fprintf(stderr, "republish: the connection is lost\n");
    exit(1);
  }
  if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD) {
    fprintf(stderr, "republish: not a confirm\n");
    exit(1);
  }
  amqp_basic_ack_t *ack = frame.payload.method.decoded;
  long tag = (long)ack->delivery_tag, count = 0;
  for (long at = ack->multiple ? *low + 1 : tag; at <= tag; at++) {
    count += !seen[at];
    seen[at] = 1;
  }
  if (ack->multiple && tag > *low) *low = tag;
  return count;
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: republish PORT QUEUE MESSAGES SIZE WINDOW\n");
    return 2;
  }
  long messages = atol(argv[3]), size = atol(argv[4]), window = atol(argv[5]);
  amqp_connection_state_t connection = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  if (amqp_socket_open(socket, "127.0.0.1", atoi(argv[1]))) {
    fprintf(stderr, "republish: no connection\n");
    return 1;
  }
  expect(amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"), "login");
  amqp_channel_open(connection, 1);
  expect(amqp_get_rpc_reply(connection), "channel");
  amqp_confirm_select(connection, 1);
  expect(amqp_get_rpc_reply(connection), "confirm.select");
  char *body = malloc(size);
  memset(body, 'x', size);
  unsigned char *seen = calloc(messages + 2, 1);
  amqp_basic_properties_t properties = {0};
  properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
  properties.content_type = amqp_cstring_bytes("application/json");
  properties.delivery_mode = 2;
  properties.message_id = amqp_cstring_bytes("0b9b2b6e-ffff-4c4e-8ddc-000000000000");
  amqp_bytes_t queue = amqp_cstring_bytes(argv[2]), payload = {size, body};
  int on = 1, off = 0;
  long sent = 0, done = 0, low = 0;
  double began = now(), used = cpu();
  while (done < messages) {
    setsockopt(amqp_get_sockfd(connection), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    for (; sent < messages && sent - done < window; sent++)
      amqp_basic_publish(connection, 1, amqp_empty_bytes, queue, 1, 0, &properties, payload);
    setsockopt(amqp_get_sockfd(connection), IPPROTO_TCP, TCP_CORK, &off, sizeof off);
    do done += confirmed(connection, seen, &low);
    while (done < messages && (sent == messages || sent - done > window * 3 / 4));
  }
  printf("%.6f %.6f\n", now() - began, cpu() - used);
  amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
  return 0;
}
