package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func pushConcurrent(s *scope) {
	topic := s.topic(4)
	found := &received{}
	s.pushInto(found, s.name("g"), topic, "*")
	sent := sendAll(s.producer(), topic, "single-", 300)
	found.exactly(sent, 30*time.Second, "all messages at a concurrent consumer")
}

// pushOrderly: the messages of a key lie in one queue and come one after another.
func pushOrderly(s *scope) {
	topic := s.topic(2)
	found := &received{}
	s.pushInto(found, s.name("g"), topic, "*", consumer.WithConsumerOrder(true))
	client := s.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	var sent []string
	for step := 0; step < 20; step++ {
		for key := 0; key < 12; key++ {
			body := fmt.Sprintf("%d:%d", key, step)
			sent = append(sent, body)
			message := primitive.NewMessage(topic, []byte(body))
			message.WithShardingKey(fmt.Sprintf("key-%d", key))
			sendOk(client, message)
		}
	}
	found.exactly(sent, 45*time.Second, "all messages at an orderly consumer")
	next := map[string]int{}
	for _, message := range found.all() {
		parts := strings.Split(string(message.Body), ":")
		step, _ := strconv.Atoi(parts[1])
		check(step == next[parts[0]], "key %s: step %d when %d was due", parts[0], step,
			next[parts[0]])
		next[parts[0]]++
	}
}

// orderlyHandOver: while two orderly consumers share the queues and one stops, the sequence of each
// queue goes on without a hole, and nobody is ahead of anybody.
func orderlyHandOver(s *scope) {
	topic := s.topic(2)
	queues := s.queues(topic)
	client := s.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	var mutex sync.Mutex
	begun := map[string][]int{}
	working := map[string]int{}
	share := map[int]int{}
	start := func(number int) rocketmq.PushConsumer {
		push, err := rocketmq.NewPushConsumer(s.consumerOptions(s.name("g"),
			consumer.WithConsumerOrder(true), consumer.WithConsumeMessageBatchMaxSize(1))...)
		must(err, "push consumer")
		selector := consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}
		must(push.Subscribe(topic, selector, func(_ context.Context,
			messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, message := range messages {
				key := message.Queue.String()
				step, _ := strconv.Atoi(string(message.Body))
				mutex.Lock()
				begun[key] = append(begun[key], step)
				working[key]++
				if working[key] > 1 {
					begun[key] = append(begun[key], -1)
				}
				share[number]++
				mutex.Unlock()
				time.Sleep(time.Millisecond)
				mutex.Lock()
				working[key]--
				mutex.Unlock()
			}
			return consumer.ConsumeSuccess, nil
		}), "subscribe")
		must(push.Start(), "start of the push consumer")
		return push
	}
	given := func(number int) int {
		mutex.Lock()
		defer mutex.Unlock()
		return share[number]
	}
	var stop atomic.Bool
	var sender sync.WaitGroup
	steps := 0
	sender.Add(1)
	go func() {
		defer sender.Done()
		for ; !stop.Load(); steps++ {
			for _, queue := range queues {
				message := primitive.NewMessage(topic, []byte(strconv.Itoa(steps)))
				message.Queue = queue
				sendOk(client, message)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	first := start(1)
	eventually(30*time.Second, "work of the first", func() bool { return given(1) > 100 })
	second := start(2)
	eventually(70*time.Second, "work of the second", func() bool { return given(2) > 100 })
	must(first.Shutdown(), "shutdown of the first consumer")
	stop.Store(true)
	sender.Wait()
	last := func(key string) int {
		mutex.Lock()
		defer mutex.Unlock()
		highest := -1
		for _, step := range begun[key] {
			if step > highest {
				highest = step
			}
		}
		return highest
	}
	for _, queue := range queues {
		eventually(90*time.Second, "the end of "+queue.String(), func() bool {
			return last(queue.String()) == steps-1
		})
	}
	must(second.Shutdown(), "shutdown of the second consumer")
	for key, all := range begun {
		next := 0
		for _, step := range all {
			check(step >= 0, "%s was consumed by two at a time", key)
			check(step <= next, "%s: step %d when %d was due", key, step, next)
			if step == next {
				next++
			}
		}
	}
}

func pushBroadcast(s *scope) {
	topic := s.topic(2)
	all := []*received{{}, {}}
	for _, found := range all {
		s.pushInto(found, s.name("g"), topic, "*",
			consumer.WithConsumerModel(consumer.BroadCasting))
	}
	sent := sendAll(s.producer(), topic, "broadcast-", 100)
	for _, found := range all {
		found.exactly(sent, 30*time.Second, "all messages at each broadcast consumer")
	}
}

// pushTagFilter: "Aa" and "BB" have the same hash, "C3" shares nothing with what is asked for.
func pushTagFilter(s *scope) {
	topic := s.topic(2)
	client := s.producer()
	sent := map[string][]string{}
	tags := []string{"A", "B", "Aa", "BB", "C3"}
	for i := 0; i < 100; i++ {
		tag := tags[i%len(tags)]
		body := fmt.Sprintf("%s-%d", tag, i)
		sent[tag] = append(sent[tag], body)
		sendOk(client, primitive.NewMessage(topic, []byte(body)).WithTag(tag))
	}
	expressions := map[string][]string{
		"A || B":   {"A", "B"},
		"Aa":       {"Aa"},
		"BB || C3": {"BB", "C3"},
		"*":        tags,
	}
	results := map[string]*received{}
	number := 0
	for expression := range expressions {
		results[expression] = &received{}
		number++
		s.pushInto(results[expression], s.name(fmt.Sprintf("g%d", number)), topic, expression)
	}
	for expression, wanted := range expressions {
		var expected []string
		for _, tag := range wanted {
			expected = append(expected, sent[tag]...)
		}
		results[expression].exactly(expected, 30*time.Second, "subscription "+expression)
	}
}

// pushFromWhere: on queues that begin at 0 the broker gives a new group offset 0.
func pushFromWhere(s *scope) {
	topic := s.topic(1)
	sent := sendAll(s.producer(), topic, "old-", 20)
	for _, where := range []consumer.ConsumeFromWhere{
		consumer.ConsumeFromFirstOffset, consumer.ConsumeFromLastOffset} {
		found := &received{}
		s.pushInto(found, s.name(fmt.Sprintf("g%d", where)), topic, "*",
			consumer.WithConsumeFromWhere(where))
		found.exactly(sent, 25*time.Second, fmt.Sprintf("consumeFromWhere %v", where))
	}
}

// pushRestart: a consumer that comes back goes on at the committed offsets of its group.
func pushRestart(s *scope) {
	topic := s.topic(2)
	client := s.producer()
	for round := 0; round < 3; round++ {
		sent := sendAll(client, topic, fmt.Sprintf("round-%d-", round), 40)
		found := &received{}
		push := s.pushInto(found, s.name("g"), topic, "*")
		found.exactly(sent, 25*time.Second, fmt.Sprintf("round %d", round))
		// The client counts a message after the listener is done with it, and does not tell.
		time.Sleep(time.Second)
		must(push.Shutdown(), "shutdown")
	}
}

func pushLongPolling(s *scope) {
	topic := s.topic(1)
	found := &received{}
	s.pushInto(found, s.name("g"), topic, "wanted")
	client := s.producer()
	sendOk(client, primitive.NewMessage(topic, []byte("first")).WithTag("wanted"))
	eventually(20*time.Second, "the first message", func() bool { return len(found.all()) == 1 })
	for i := 0; i < 6; i++ {
		time.Sleep(200 * time.Millisecond)
		sendOk(client, primitive.NewMessage(topic, []byte("other")).WithTag("other"))
		began := time.Now()
		sendOk(client, primitive.NewMessage(topic, []byte("poll")).WithTag("wanted"))
		eventually(15*time.Second, "a message", func() bool { return len(found.all()) == i+2 })
		check(time.Since(began) < 3*time.Second, "a waiting consumer was told after %v",
			time.Since(began))
	}
}

func pushVipChannel(s *scope) {
	topic := s.topic(2)
	sent := sendAll(s.producer(producer.WithVIPChannel(true)), topic, "vip-", 40)
	found := &received{}
	s.pushInto(found, s.name("g"), topic, "*", consumer.WithVIPChannel(true))
	found.exactly(sent, 25*time.Second, "messages through the second listener")
}

// rebalance: two consumers share a group; when one leaves the other takes over, and none is lost.
func rebalance(s *scope) {
	topic := s.topic(4)
	client := s.producer()
	var stop int32
	var sending sync.WaitGroup
	var sent []string
	sending.Add(1)
	go func() {
		defer sending.Done()
		for i := 0; atomic.LoadInt32(&stop) == 0; i++ {
			body := fmt.Sprintf("m%d", i)
			_, err := client.SendSync(context.Background(),
				primitive.NewMessage(topic, []byte(body)))
			if err == nil {
				sent = append(sent, body)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	first, second := &received{}, &received{}
	one := s.pushInto(first, s.name("g"), topic, "*")
	eventually(20*time.Second, "the only consumer is given messages",
		func() bool { return queuesOf(first, 0) == 8 })
	s.pushInto(second, s.name("g"), topic, "*")
	eventually(20*time.Second, "the second consumer is given half of the queues",
		func() bool { return queuesOf(second, 0) == 4 })
	must(one.Shutdown(), "shutdown of the first")
	mark := len(second.all())
	eventually(15*time.Second, "the one that stays is given all queues",
		func() bool { return queuesOf(second, mark) == 8 })
	atomic.StoreInt32(&stop, 1)
	sending.Wait()
	eventually(25*time.Second, "every message reached one of the group", func() bool {
		bodies := first.bodies()
		for body := range second.bodies() {
			bodies[body]++
		}
		for _, body := range sent {
			if bodies[body] == 0 {
				return false
			}
		}
		return true
	})
	total := len(first.all()) + len(second.all())
	check(total < 2*len(sent), "%d deliveries of %d messages: offsets do not go on", total,
		len(sent))
}

// queuesOf counts the queues that deliveries came from, those before the mark left out.
func queuesOf(found *received, mark int) int {
	queues := map[string]bool{}
	for _, message := range found.all()[mark:] {
		queues[message.Queue.BrokerName+fmt.Sprint(message.Queue.QueueId)] = true
	}
	return len(queues)
}

func pullFrom(s *scope) {
	topic := s.topic(1)
	queue := s.queues(topic)[0]
	client := s.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	for i := 0; i < 100; i++ {
		message := primitive.NewMessage(topic, []byte(fmt.Sprintf("p%d", i)))
		message.WithTag(fmt.Sprintf("T%d", i%2))
		message.Queue = queue
		sendOk(client, message)
	}
	reader := s.reader(topic, "*")
	readQueue(reader, queue, 100)
	pull := func(offset int64, number int) *primitive.PullResult {
		result, err := reader.PullFrom(context.Background(), queue, offset, number)
		must(err, "pull")
		return result
	}
	result := pull(0, 32)
	check(result.Status == primitive.PullFound && len(result.GetMessageExts()) == 32 &&
		result.NextBeginOffset == 32 && result.MinOffset == 0 && result.MaxOffset == 100,
		"pull from 0: %v", result)
	result = pull(42, 1)
	check(string(result.GetMessageExts()[0].Body) == "p42", "pull of one: %v", result)
	result = pull(5000, 32)
	check(result.Status == primitive.PullOffsetIllegal && result.NextBeginOffset == 100,
		"pull beyond the end: %v", result)
	held := make(chan *primitive.PullResult, 1)
	go func() {
		result, _ := reader.PullFrom(context.Background(), queue, 100, 32)
		held <- result
	}()
	time.Sleep(300 * time.Millisecond)
	check(len(held) == 0, "a pull at the end of the queue was not held")
	message := primitive.NewMessage(topic, []byte("late"))
	message.Queue = queue
	sendOk(client, message)
	select {
	case result := <-held:
		check(result != nil && result.Status == primitive.PullFound, "held pull: %v", result)
	case <-time.After(5 * time.Second):
		fail("a held pull was not answered when a message came")
	}
}

func pullPoll(s *scope) {
	topic := s.topic(2)
	client := s.producer()
	for round := 0; round < 2; round++ {
		sent := sendAll(client, topic, fmt.Sprintf("poll-%d-", round), 50)
		pull := pollStart(s, topic)
		found := &received{}
		eventually(25*time.Second, "messages by polling", func() bool {
			request, err := pull.Poll(context.Background(), 200*time.Millisecond)
			if err == nil {
				found.add(request.GetMsgList()...)
				pull.ACK(context.Background(), request, consumer.ConsumeSuccess)
			}
			return len(found.all()) >= 50
		})
		found.exactly(sent, time.Second, fmt.Sprintf("round %d", round))
		must(pull.PersistOffset(context.Background(), topic), "persist")
		must(pull.Shutdown(), "shutdown")
	}
}

func pollStart(s *scope, topic string) rocketmq.PullConsumer {
	pull, err := rocketmq.NewPullConsumer(s.consumerOptions(s.name("g"))...)
	must(err, "pull consumer")
	must(pull.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}),
		"subscribe")
	must(pull.Start(), "start of the pull consumer")
	return pull
}
