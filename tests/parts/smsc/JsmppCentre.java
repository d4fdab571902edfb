import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.util.Date;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jsmpp.bean.DataCodings;
import org.jsmpp.bean.DeliveryReceipt;
import org.jsmpp.bean.ESMClass;
import org.jsmpp.bean.GSMSpecificFeature;
import org.jsmpp.bean.InterfaceVersion;
import org.jsmpp.bean.MessageMode;
import org.jsmpp.bean.MessageType;
import org.jsmpp.bean.NumberingPlanIndicator;
import org.jsmpp.bean.OptionalParameter;
import org.jsmpp.bean.RegisteredDelivery;
import org.jsmpp.bean.SubmitSm;
import org.jsmpp.bean.TypeOfNumber;
import org.jsmpp.extra.ProcessRequestException;
import org.jsmpp.session.SMPPServerSession;
import org.jsmpp.session.SMPPServerSessionListener;
import org.jsmpp.session.ServerMessageReceiverListener;
import org.jsmpp.session.SubmitSmResult;
import org.jsmpp.session.connection.ServerConnection;
import org.jsmpp.session.connection.ServerConnectionFactory;
import org.jsmpp.session.connection.socket.ServerSocketConnection;
import org.jsmpp.util.DeliveryReceiptState;
import org.jsmpp.util.HexUtil;
import org.jsmpp.util.MessageId;
import org.jsmpp.util.RandomMessageIDGenerator;

/**
 * A message centre on jSMPP's server: PORT USER PASSWORD [THREADS QUEUE WORK_MS RECEIPT_MS].
 *
 * <p>The library itself answers "throttled" when its queue is full, and answers out of order when it has several
 * threads. Destination 999XX is refused with status 0xXX, 998... is undelivered. Each submit is a line on standard
 * output.
 */
public class JsmppCentre {
    private final int workMs;
    private final int receiptMs;
    private final RandomMessageIDGenerator ids = new RandomMessageIDGenerator();
    private final ScheduledExecutorService timer = Executors.newScheduledThreadPool(4);

    JsmppCentre(int workMs, int receiptMs) {
        this.workMs = workMs;
        this.receiptMs = receiptMs;
    }

    public static void main(String[] args) throws Exception {
        var centre = new JsmppCentre(number(args, 5, 0), number(args, 6, 200));
        var listener = new SMPPServerSessionListener(Integer.parseInt(args[0]), new Loopback());
        listener.setMessageReceiverListener(centre.receiver());
        listener.setPduProcessorDegree(number(args, 3, 3));
        listener.setQueueCapacity(number(args, 4, 100));
        System.out.println("READY " + args[0]);
        var sessions = Executors.newCachedThreadPool();
        while (true) {
            var session = listener.accept();
            sessions.submit(() -> bind(session, args[1], args[2]));
        }
    }

    private static int number(String[] args, int index, int otherwise) {
        return args.length > index ? Integer.parseInt(args[index]) : otherwise;
    }

    private static void bind(SMPPServerSession session, String user, String password) {
        try {
            var request = session.waitForBind(10000);
            if (!request.getSystemId().equals(user)) {
                request.reject(0x0F);
            } else if (!request.getPassword().equals(password)) {
                request.reject(0x0E);
            } else {
                request.accept("jsmpp", InterfaceVersion.IF_34);
            }
        } catch (Exception fault) {
            System.out.println("bind failed " + fault);
            session.close();
        }
    }

    /** The interface has a dozen methods for requests that we never send; only two matter here. */
    private ServerMessageReceiverListener receiver() {
        Class<?>[] shape = {ServerMessageReceiverListener.class};
        return (ServerMessageReceiverListener) Proxy.newProxyInstance(
            JsmppCentre.class.getClassLoader(), shape, (proxy, method, values) -> asked(method, values));
    }

    private Object asked(Method method, Object[] values) throws Exception {
        if (method.getName().equals("onAcceptEnquireLink")) {
            return null;
        }
        if (!method.getName().equals("onAcceptSubmitSm")) {
            throw new ProcessRequestException("not here", 0x03);
        }
        return take((SubmitSm) values[0], (SMPPServerSession) values[1]);
    }

    private SubmitSmResult take(SubmitSm submit, SMPPServerSession session) throws Exception {
        String destination = submit.getDestAddress();
        System.out.printf(
            "submit src=%s dst=%s esm=%02x dcs=%02x rd=%02x validity=%s sm=%s%n",
            submit.getSourceAddr(), destination, submit.getEsmClass(), submit.getDataCoding(),
            submit.getRegisteredDelivery(), submit.getValidityPeriod(),
            HexUtil.convertBytesToHexString(submit.getShortMessage()));
        if (workMs > 0) {
            Thread.sleep(workMs);
        }
        if (destination.startsWith("999")) {
            throw new ProcessRequestException("asked for", Integer.parseInt(destination.substring(3), 16));
        }
        MessageId id = ids.newMessageId();
        if ((submit.getRegisteredDelivery() & 3) == 1) {
            timer.schedule(() -> receipt(submit, session, id), receiptMs, TimeUnit.MILLISECONDS);
        }
        return new SubmitSmResult(id, new OptionalParameter[0]);
    }

    private void receipt(SubmitSm submit, SMPPServerSession session, MessageId id) {
        try {
            boolean good = !submit.getDestAddress().startsWith("998");
            var state = good ? DeliveryReceiptState.DELIVRD : DeliveryReceiptState.UNDELIV;
            var now = new Date();
            var receipt = new DeliveryReceipt(
                id.getValue(), 1, good ? 1 : 0, now, now, state, good ? "000" : "00B", "first words");
            session.deliverShortMessage(
                "", TypeOfNumber.INTERNATIONAL, NumberingPlanIndicator.ISDN, submit.getDestAddress(),
                TypeOfNumber.UNKNOWN, NumberingPlanIndicator.UNKNOWN, submit.getSourceAddr(),
                new ESMClass(MessageMode.DEFAULT, MessageType.SMSC_DEL_RECEIPT, GSMSpecificFeature.DEFAULT),
                (byte) 0, (byte) 0, new RegisteredDelivery(0), DataCodings.ZERO,
                receipt.toString().getBytes(StandardCharsets.ISO_8859_1),
                new OptionalParameter.Receipted_message_id(id.getValue()),
                new OptionalParameter.Message_state((byte) (good ? 2 : 5)));
            System.out.println("receipt acked " + id.getValue());
        } catch (Exception fault) {
            System.out.println("receipt failed " + fault);
        }
    }

    /** The library's own factory listens on every address. */
    private static class Loopback implements ServerConnectionFactory {
        public ServerConnection listen(int port) throws IOException {
            return new ServerSocketConnection(new ServerSocket(port, 50, InetAddress.getLoopbackAddress()));
        }

        public ServerConnection listen(int port, int timeout) throws IOException {
            return listen(port);
        }

        public ServerConnection listen(int port, int timeout, int backlog) throws IOException {
            return listen(port);
        }
    }
}
