package main

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

var instances int64

// scope is what one scenario works with: names of its own, and clients that are closed when it
// ends.
type scope struct {
	namesrv primitive.NamesrvAddr
	brokers []string
	prefix  string
	mutex   sync.Mutex
	closers []func()
}

func newScope(namesrv string, brokers []string, prefix string) *scope {
	return &scope{namesrv: primitive.NamesrvAddr{namesrv}, brokers: brokers, prefix: prefix}
}

func (s *scope) name(suffix string) string {
	return s.prefix + "_" + suffix
}

func (s *scope) instance() string {
	return fmt.Sprintf("%s_%d", s.prefix, atomic.AddInt64(&instances, 1))
}

func (s *scope) onClose(closer func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.closers = append(s.closers, closer)
}

func (s *scope) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

// topic creates a topic with that many queues on every master.
func (s *scope) topic(queues int) string {
	topic := s.name(fmt.Sprintf("t%d", atomic.AddInt64(&instances, 1)))
	client, err := admin.NewAdmin(
		admin.WithResolver(primitive.NewPassthroughResolver(s.namesrv)))
	must(err, "admin client")
	defer client.Close()
	for _, broker := range s.brokers {
		err := client.CreateTopic(context.Background(), admin.WithTopicCreate(topic),
			admin.WithBrokerAddrCreate(broker), admin.WithReadQueueNums(queues),
			admin.WithWriteQueueNums(queues))
		must(err, "create "+topic)
	}
	eventually(15*time.Second, "route of "+topic, func() bool {
		found, err := client.FetchPublishMessageQueues(context.Background(), topic)
		return err == nil && len(found) == queues*len(s.brokers)
	})
	return topic
}

func (s *scope) queues(topic string) []*primitive.MessageQueue {
	client, err := admin.NewAdmin(
		admin.WithResolver(primitive.NewPassthroughResolver(s.namesrv)))
	must(err, "admin client")
	defer client.Close()
	queues, err := client.FetchPublishMessageQueues(context.Background(), topic)
	must(err, "queues of "+topic)
	sort.Slice(queues, func(i, j int) bool {
		if queues[i].BrokerName != queues[j].BrokerName {
			return queues[i].BrokerName < queues[j].BrokerName
		}
		return queues[i].QueueId < queues[j].QueueId
	})
	return queues
}

func (s *scope) producer(options ...producer.Option) rocketmq.Producer {
	base := []producer.Option{
		producer.WithNsResolver(primitive.NewPassthroughResolver(s.namesrv)),
		producer.WithGroupName(s.name("producers")),
		producer.WithInstanceName(s.instance()),
		producer.WithRetry(0),
	}
	client, err := rocketmq.NewProducer(append(base, options...)...)
	must(err, "producer")
	must(client.Start(), "start of the producer")
	s.onClose(func() { must(client.Shutdown(), "shutdown of the producer") })
	return client
}

func (s *scope) consumerOptions(group string, more ...consumer.Option) []consumer.Option {
	base := []consumer.Option{
		consumer.WithNsResolver(primitive.NewPassthroughResolver(s.namesrv)),
		consumer.WithGroupName(group),
		consumer.WithInstance(s.instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}
	return append(base, more...)
}

// received is what a consumer was given, in the order of delivery.
type received struct {
	mutex    sync.Mutex
	messages []*primitive.MessageExt
}

func (r *received) add(messages ...*primitive.MessageExt) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.messages = append(r.messages, messages...)
}

func (r *received) all() []*primitive.MessageExt {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return append([]*primitive.MessageExt(nil), r.messages...)
}

func (r *received) bodies() map[string]int {
	bodies := map[string]int{}
	for _, message := range r.all() {
		bodies[string(message.Body)]++
	}
	return bodies
}

// exactly waits for these bodies; nothing else and nothing twice may have come.
func (r *received) exactly(expected []string, limit time.Duration, what string) {
	missing := func() []string {
		bodies := r.bodies()
		var absent []string
		for _, body := range expected {
			if bodies[body] == 0 {
				absent = append(absent, body)
			}
		}
		return absent
	}
	deadline := time.Now().Add(limit)
	for absent := missing(); len(absent) > 0; absent = missing() {
		check(time.Now().Before(deadline), "not within %v: %s: %d deliveries, %d of %d missing: %v",
			limit, what, len(r.all()), len(absent), len(expected), absent[:1])
		time.Sleep(20 * time.Millisecond)
	}
	check(len(r.all()) == len(expected), "%s: %d deliveries of %d messages", what, len(r.all()),
		len(expected))
}

// pushInto starts a push consumer that collects what it is given.
func (s *scope) pushInto(r *received, group, topic, expression string,
	options ...consumer.Option) rocketmq.PushConsumer {
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: expression}
	return s.pushSelected(r, group, topic, selector, options...)
}

// pushSelected is the same for any kind of expression.
func (s *scope) pushSelected(r *received, group, topic string, selector consumer.MessageSelector,
	options ...consumer.Option) rocketmq.PushConsumer {
	client, err := rocketmq.NewPushConsumer(s.consumerOptions(group, options...)...)
	must(err, "push consumer")
	must(client.Subscribe(topic, selector, func(_ context.Context,
		messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		r.add(messages...)
		return consumer.ConsumeSuccess, nil
	}), "subscribe")
	must(client.Start(), "start of the push consumer")
	s.onClose(func() { must(client.Shutdown(), "shutdown of the push consumer") })
	return client
}

// reader starts a pull consumer for one topic.
func (s *scope) reader(topic, expression string) rocketmq.PullConsumer {
	client, err := rocketmq.NewPullConsumer(s.consumerOptions(s.name("reader"))...)
	must(err, "pull consumer")
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: expression}
	must(client.Subscribe(topic, selector), "subscribe")
	must(client.Start(), "start of the pull consumer")
	s.onClose(func() { must(client.Shutdown(), "shutdown of the pull consumer") })
	return client
}

// readQueue reads from the beginning until that many messages came; the queue must not hold more.
// A pull at the end of a queue is held by the broker, so it stops short of that.
func readQueue(client rocketmq.PullConsumer, queue *primitive.MessageQueue,
	count int) []*primitive.MessageExt {
	var all []*primitive.MessageExt
	for len(all) < count {
		result, err := client.PullFrom(context.Background(), queue, int64(len(all)), 32)
		must(err, "pull")
		check(result.Status == primitive.PullFound, "pull of %v at %d: %v", queue, len(all),
			result)
		all = append(all, result.GetMessageExts()...)
		check(result.MaxOffset <= int64(count), "%v holds %d messages instead of %d", queue,
			result.MaxOffset, count)
	}
	return all
}

// sendAll sends the bodies one after another and returns them.
func sendAll(client rocketmq.Producer, topic, prefix string, count int) []string {
	var bodies []string
	for i := 0; i < count; i++ {
		body := fmt.Sprintf("%s%d", prefix, i)
		bodies = append(bodies, body)
		sendOk(client, primitive.NewMessage(topic, []byte(body)))
	}
	return bodies
}

func sendOk(client rocketmq.Producer, messages ...*primitive.Message) *primitive.SendResult {
	result, err := client.SendSync(context.Background(), messages...)
	must(err, "send")
	check(result.Status == primitive.SendOK, "send status %v", result.Status)
	return result
}
