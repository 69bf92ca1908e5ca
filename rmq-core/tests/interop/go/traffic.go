package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// traffic is the Go client's side of a run with faults: producers and a consumer that go on through
// whatever happens, and a history of everything that they saw. See Traffic.java for its lines and
// for what it reads and prints.
type traffic struct {
	namesrv primitive.NamesrvAddr
	topic   string
	client  int
	ok      int64
	stop    int32
	mutex   sync.Mutex
	history *os.File
}

// runTraffic: -n ADDR;ADDR -topic T -client NUMBER -file HISTORY [-producers 4] [-rate 100]
func runTraffic(arguments []string) {
	flags := flag.NewFlagSet("traffic", flag.ExitOnError)
	namesrv := flags.String("n", "", "nameserver addresses")
	topic := flags.String("topic", "", "topic")
	client := flags.Int("client", 1, "number of this client")
	file := flags.String("file", "", "the history")
	producers := flags.Int("producers", 4, "producers")
	rate := flags.Int("rate", 100, "messages a second")
	log := flags.String("log", "", "file for the client's log")
	must(flags.Parse(arguments), "arguments")
	rlog.SetLogLevel("error")
	must(rlog.SetOutputPath(*log), "log file")
	history, err := os.Create(*file)
	must(err, "history")
	t := &traffic{namesrv: strings.Split(*namesrv, ";"), topic: *topic, client: *client,
		history: history}
	push := t.consume()
	var sending sync.WaitGroup
	interval := time.Second * time.Duration(*producers) / time.Duration(*rate)
	for number := 0; number < *producers; number++ {
		sending.Add(1)
		go func(number int) {
			defer sending.Done()
			t.produce(number, interval)
		}(number)
	}
	fmt.Println("ready")
	go func() {
		for range time.Tick(200 * time.Millisecond) {
			fmt.Println("ok", atomic.LoadInt64(&t.ok))
		}
	}()
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() && input.Text() != "quit" {
		switch input.Text() {
		case "pause":
			push.Suspend()
		case "resume":
			push.Resume()
		case "stop":
			atomic.StoreInt32(&t.stop, 1)
			sending.Wait()
			fmt.Println("stopped")
		}
	}
}

func (t *traffic) write(lines string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.history.WriteString(lines)
}

func trafficBody(client, producer, number int) string {
	return fmt.Sprintf("%d.%d.%d %s", client, producer, number,
		strings.Repeat("x", number%97*13))
}

// messageName returns the name of the message, or nothing when no producer made this body.
func messageName(body string) string {
	name := strings.SplitN(body, " ", 2)[0]
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return ""
	}
	var numbers [3]int
	for i, part := range parts {
		number, err := strconv.Atoi(part)
		if err != nil {
			return ""
		}
		numbers[i] = number
	}
	if trafficBody(numbers[0], numbers[1], numbers[2]) != body {
		return ""
	}
	return name
}

// consume: one goroutine, so that deliveries are written in the order of their arrival.
func (t *traffic) consume() rocketmq.PushConsumer {
	push, err := rocketmq.NewPushConsumer(
		consumer.WithNsResolver(primitive.NewPassthroughResolver(t.namesrv)),
		consumer.WithGroupName(fmt.Sprintf("traffic_%d", t.client)),
		consumer.WithInstance(fmt.Sprintf("consumer-%d", t.client)),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumeGoroutineNums(1),
		consumer.WithConsumeMessageBatchMaxSize(32))
	must(err, "push consumer")
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}
	must(push.Subscribe(t.topic, selector, func(_ context.Context,
		messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		var lines strings.Builder
		for _, message := range messages {
			kind, name := "D", messageName(string(message.Body))
			if name == "" {
				kind, name = "X", strings.ReplaceAll(string(message.Body), "\n", " ")
			}
			fmt.Fprintf(&lines, "%s %d %d 0 %s %s %d %d\n", kind, time.Now().UnixMicro(),
				t.client, name, message.Queue.BrokerName, message.Queue.QueueId,
				message.QueueOffset)
		}
		t.write(lines.String())
		return consumer.ConsumeSuccess, nil
	}), "subscribe")
	must(push.Start(), "start of the push consumer")
	return push
}

// produce sends without the client's retries, so that each send is one request.
func (t *traffic) produce(number int, interval time.Duration) {
	client, err := rocketmq.NewProducer(
		producer.WithNsResolver(primitive.NewPassthroughResolver(t.namesrv)),
		producer.WithGroupName("traffic_producers"),
		producer.WithInstanceName(fmt.Sprintf("producer-%d-%d", t.client, number)),
		producer.WithSendMsgTimeout(4*time.Second),
		producer.WithRetry(0))
	must(err, "producer")
	must(client.Start(), "start of the producer")
	for i := 0; atomic.LoadInt32(&t.stop) == 0; i++ {
		body := trafficBody(t.client, number, i)
		began := time.Now()
		result, err := client.SendSync(context.Background(),
			primitive.NewMessage(t.topic, []byte(body)))
		t.write(t.attempt(began, body, result, err))
		if rest := interval - time.Since(began); rest > 0 {
			time.Sleep(rest)
		}
	}
}

func (t *traffic) attempt(began time.Time, body string, result *primitive.SendResult,
	err error) string {
	head := fmt.Sprintf("%d %d %s", began.UnixMicro(), time.Now().UnixMicro(),
		strings.SplitN(body, " ", 2)[0])
	if err != nil {
		// The client makes a text of what a broker answers.
		if answer := err.Error(); strings.HasPrefix(answer, "CODE: ") {
			return fmt.Sprintf("R %s %s\n", head, strings.Split(answer[6:], ",")[0])
		}
		return fmt.Sprintf("U %s %s\n", head, strings.Fields(err.Error())[0])
	}
	if result.Status == primitive.SendOK {
		atomic.AddInt64(&t.ok, 1)
	}
	status := map[primitive.SendStatus]string{
		primitive.SendOK:                "SEND_OK",
		primitive.SendFlushDiskTimeout:  "FLUSH_DISK_TIMEOUT",
		primitive.SendFlushSlaveTimeout: "FLUSH_SLAVE_TIMEOUT",
		primitive.SendSlaveNotAvailable: "SLAVE_NOT_AVAILABLE",
	}[result.Status]
	// The last eight bytes of the offset message id are the offset in the log.
	physical, parseErr := strconv.ParseInt(result.OffsetMsgID[len(result.OffsetMsgID)-16:], 16, 64)
	must(parseErr, "offset message id")
	return fmt.Sprintf("S %s %s %d %d %d %s\n", head, result.MessageQueue.BrokerName,
		result.MessageQueue.QueueId, result.QueueOffset, physical, status)
}
