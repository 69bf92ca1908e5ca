/*
 * rmq for C++17: the functions of rmq.h as classes that free what they own and throw rmq::Error.
 *
 * Everything is inline; a program links with librmq alone. Objects can be moved, not copied.
 * What rmq.h says of threads, of callbacks and of forks holds here too.
 */
#ifndef RMQ_HPP
#define RMQ_HPP

#include "rmq/base.hpp"
#include "rmq/servers.hpp"
#include "rmq/message.hpp"
#include "rmq/producer.hpp"
#include "rmq/consumer.hpp"
#include "rmq/admin.hpp"

#endif
