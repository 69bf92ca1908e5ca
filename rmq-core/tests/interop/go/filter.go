package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

func sql(expression string) consumer.MessageSelector {
	return consumer.MessageSelector{Type: consumer.SQL92, Expression: expression}
}

// sendNumbered sends messages whose body and property n are their numbers; every third one has a
// color.
func sendNumbered(client rocketmq.Producer, topic string, count int) {
	for number := 0; number < count; number++ {
		text := strconv.Itoa(number)
		message := primitive.NewMessage(topic, []byte(text))
		message.WithProperty("n", text)
		if number%3 == 0 {
			message.WithProperty("color", []string{"red", "it's blue"}[number%2])
		}
		sendOk(client, message)
	}
}

func chosen(count int, has func(int) bool) []string {
	var bodies []string
	for number := 0; number < count; number++ {
		if has(number) {
			bodies = append(bodies, strconv.Itoa(number))
		}
	}
	return bodies
}

func pushSqlFilter(s *scope) {
	topic := s.topic(2)
	expressions := map[string]func(int) bool{
		"n BETWEEN 10 AND 19 OR n = 42":        func(n int) bool { return n/10 == 1 || n == 42 },
		"color IS NOT NULL AND color <> 'red'": func(n int) bool { return n%6 == 3 },
		"color IN ('it''s blue') AND n < 30.5": func(n int) bool { return n%6 == 3 && n < 30 },
		"absent IS NULL":                       func(n int) bool { return true },
		// No expression: the broker has no filter for the group, and hands out nothing.
		"n > ": func(n int) bool { return false },
	}
	found := map[string]*received{}
	for expression := range expressions {
		found[expression] = &received{}
		group := s.name(fmt.Sprintf("g%d", len(found)))
		s.pushSelected(found[expression], group, topic, sql(expression))
	}
	sendNumbered(s.producer(), topic, 60)
	for expression, has := range expressions {
		found[expression].exactly(chosen(60, has), 30*time.Second, expression)
	}
}

func pullSqlFilter(s *scope) {
	topic := s.topic(1)
	sendNumbered(s.producer(), topic, 20)
	client, err := rocketmq.NewPullConsumer(s.consumerOptions(s.name("reader"))...)
	must(err, "pull consumer")
	must(client.Subscribe(topic, sql("n >= 5 AND color IS NULL")), "subscribe")
	must(client.Start(), "start of the pull consumer")
	s.onClose(func() { must(client.Shutdown(), "shutdown of the pull consumer") })
	found := &received{}
	for _, queue := range s.queues(topic) {
		for offset := int64(0); ; {
			result, err := client.PullFrom(context.Background(), queue, offset, 32)
			must(err, "pull")
			found.add(result.GetMessageExts()...)
			offset = result.NextBeginOffset
			if offset >= result.MaxOffset {
				break
			}
		}
	}
	wanted := chosen(20, func(n int) bool { return n >= 5 && n%3 != 0 })
	found.exactly(wanted, time.Second, "pulled by an expression")
}
