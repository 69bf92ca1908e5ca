package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// How long it may take until a client looks for the queues of a retry topic that is new.
const findQueues = 45 * time.Second

// delayLevels: the brokers' levels are 1 s, but the second and the seventeenth are 2 s and the last
// one is 3 s.
func delayLevels(s *scope) {
	topic := s.topic(2)
	found := &received{}
	s.pushInto(found, s.name("g"), topic, "*")
	client := s.producer()
	var sent []string
	before := map[string]time.Time{}
	wait := map[string]time.Duration{}
	for level := 0; level <= 20; level++ {
		body := fmt.Sprintf("level-%d", level)
		sent = append(sent, body)
		before[body] = time.Now()
		switch {
		case level == 0:
		case level == 2 || level == 17:
			wait[body] = 2 * time.Second
		case level >= 18:
			wait[body] = 3 * time.Second
		default:
			wait[body] = time.Second
		}
		sendOk(client, primitive.NewMessage(topic, []byte(body)).WithDelayTimeLevel(level))
	}
	found.exactly(sent, 30*time.Second, "delayed messages")
	for _, message := range found.all() {
		body := string(message.Body)
		due := before[body].Add(wait[body]).UnixMilli()
		late := message.StoreTimestamp - due
		check(late >= 0, "%s came %d ms early", body, -late)
		check(late < 2000, "%s came %d ms late", body, late)
		check(message.Topic == topic, "%s came in %s", body, message.Topic)
	}
}

// failing starts a consumer that fails as often as told before it consumes a message.
func (s *scope) failing(found *received, group, topic string, times int32,
	options ...consumer.Option) {
	client, err := rocketmq.NewPushConsumer(s.consumerOptions(group, options...)...)
	must(err, "push consumer")
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}
	must(client.Subscribe(topic, selector, func(ctx context.Context,
		messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		found.add(messages...)
		for _, message := range messages {
			if strings.HasPrefix(string(message.Body), "bad") && message.ReconsumeTimes < times {
				return consumer.ConsumeRetryLater, nil
			}
		}
		return consumer.ConsumeSuccess, nil
	}), "subscribe")
	must(client.Start(), "start of the push consumer")
	s.onClose(func() { must(client.Shutdown(), "shutdown of the push consumer") })
}

func retryConcurrent(s *scope) {
	topic := s.topic(2)
	group := s.name("g")
	found := &received{}
	s.failing(found, group, topic, 2)
	client := s.producer()
	sendAll(client, topic, "good-", 10)
	bad := sendAll(client, topic, "bad-", 5)
	eventually(findQueues, "all tries", func() bool { return len(found.all()) >= 10+5*3 })
	tries := map[string]int32{}
	for _, message := range found.all() {
		body := string(message.Body)
		check(message.Topic == topic, "%s came in %s", body, message.Topic)
		check(message.ReconsumeTimes == tries[body], "%s: try %d counts as %d", body,
			tries[body], message.ReconsumeTimes)
		tries[body]++
	}
	for _, body := range bad {
		check(tries[body] == 3, "%s was tried %d times", body, tries[body])
	}
	time.Sleep(1500 * time.Millisecond)
	check(len(found.all()) == 25, "%d deliveries", len(found.all()))
}

func retryDeadLetter(s *scope) {
	topic := s.topic(1)
	group := s.name("g")
	found := &received{}
	s.failing(found, group, topic, 99, consumer.WithMaxReconsumeTimes(1))
	client := s.producer()
	sendOk(client, primitive.NewMessage(topic, []byte("bad")).WithTag("tag"))
	sendOk(client, primitive.NewMessage(topic, []byte("good")))
	eventually(findQueues, "the second try", func() bool { return found.bodies()["bad"] == 2 })
	dead := &received{}
	time.Sleep(time.Second)
	s.pushInto(dead, s.name("undertaker"), "%DLQ%"+group, "*")
	dead.exactly([]string{"bad"}, findQueues, "dead letters")
	letter := dead.all()[0]
	check(letter.ReconsumeTimes == 2, "tries: %d", letter.ReconsumeTimes)
	check(letter.GetTags() == "tag", "tag %q", letter.GetTags())
	check(letter.GetProperty(primitive.PropertyRetryTopic) == topic, "topic %q",
		letter.GetProperty(primitive.PropertyRetryTopic))
	check(found.bodies()["bad"] == 2, "%d tries", found.bodies()["bad"])
	check(found.bodies()["good"] == 1, "%d deliveries", found.bodies()["good"])
}

// requestReply: the Go client makes itself known to the broker only a while after its start, so a
// reply may have to be sent again. Its CreateReplyMessage drops the body.
func requestReply(s *scope) {
	topic := s.topic(2)
	replier := s.producer()
	client, err := rocketmq.NewPushConsumer(s.consumerOptions(s.name("g"))...)
	must(err, "push consumer")
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}
	must(client.Subscribe(topic, selector, func(ctx context.Context,
		messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			answer := append([]byte("echo "), message.Body...)
			for tries := 0; tries < 20; tries++ {
				reply, err := consumer.CreateReplyMessage(message, nil)
				if err != nil {
					break
				}
				reply.Body = answer
				result, err := replier.SendSync(ctx, reply)
				if err == nil && result.Status == primitive.SendOK {
					break
				}
				time.Sleep(500 * time.Millisecond)
			}
		}
		return consumer.ConsumeSuccess, nil
	}), "subscribe")
	must(client.Start(), "start of the push consumer")
	s.onClose(func() { must(client.Shutdown(), "shutdown of the push consumer") })
	asker := s.producer()
	for i := 0; i < 10; i++ {
		body := fmt.Sprintf("q%d", i)
		message := primitive.NewMessage(topic, []byte(body))
		reply, err := asker.Request(context.Background(), 20*time.Second, message)
		must(err, "request")
		check(string(reply.Body) == "echo "+body, "reply %q to %s", reply.Body, body)
	}
}

func requestTimeout(s *scope) {
	topic := s.topic(1)
	found := &received{}
	s.pushInto(found, s.name("g"), topic, "*")
	asker := s.producer()
	began := time.Now()
	message := primitive.NewMessage(topic, []byte("q"))
	_, err := asker.Request(context.Background(), 1500*time.Millisecond, message)
	check(err != nil, "a request that nobody answers was answered")
	check(time.Since(began) < 10*time.Second, "it took %v", time.Since(began))
	found.exactly([]string{"q"}, 20*time.Second, "the request")
}
