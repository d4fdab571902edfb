import com.cloudhopper.commons.util.HexUtil;
import com.cloudhopper.smpp.SmppConstants;
import com.cloudhopper.smpp.SmppServerConfiguration;
import com.cloudhopper.smpp.SmppServerHandler;
import com.cloudhopper.smpp.SmppServerSession;
import com.cloudhopper.smpp.SmppSessionConfiguration;
import com.cloudhopper.smpp.impl.DefaultSmppServer;
import com.cloudhopper.smpp.impl.DefaultSmppSessionHandler;
import com.cloudhopper.smpp.pdu.BaseBind;
import com.cloudhopper.smpp.pdu.BaseBindResp;
import com.cloudhopper.smpp.pdu.DeliverSm;
import com.cloudhopper.smpp.pdu.EnquireLink;
import com.cloudhopper.smpp.pdu.PduRequest;
import com.cloudhopper.smpp.pdu.PduResponse;
import com.cloudhopper.smpp.pdu.SubmitSm;
import com.cloudhopper.smpp.pdu.SubmitSmResp;
import com.cloudhopper.smpp.pdu.Unbind;
import com.cloudhopper.smpp.tlv.Tlv;
import com.cloudhopper.smpp.type.SmppProcessingException;
import com.cloudhopper.smpp.util.DeliveryReceipt;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.joda.time.DateTime;

/**
 * A message centre on Cloudhopper's server: PORT USER PASSWORD [RATE_PER_S RECEIPT_WINDOW RECEIPT_MS ACROSS].
 *
 * <p>With ACROSS 1 a receipt comes over another session of the account than the submit did, where there is one.
 *
 * <p>Destination 999XX is refused with status 0xXX, 998... is undelivered. Each submit is a line on standard output,
 * and so is each receipt that was taken.
 */
public class CloudhopperCentre {
    private final String user;
    private final String password;
    private final int ratePerS;
    private final int receiptMs;
    private final boolean across;
    private final CopyOnWriteArrayList<SmppServerSession> sessions = new CopyOnWriteArrayList<>();
    private final AtomicLong ids = new AtomicLong(System.currentTimeMillis());
    private final ScheduledExecutorService timer = Executors.newScheduledThreadPool(8);

    CloudhopperCentre(String user, String password, int ratePerS, int receiptMs, boolean across) {
        this.user = user;
        this.password = password;
        this.ratePerS = ratePerS;
        this.receiptMs = receiptMs;
        this.across = across;
    }

    public static void main(String[] args) throws Exception {
        var centre = new CloudhopperCentre(args[1], args[2], number(args, 3, 1_000_000), number(args, 5, 200), number(args, 6, 0) == 1);
        var config = new SmppServerConfiguration();
        config.setHost("127.0.0.1");
        config.setPort(Integer.parseInt(args[0]));
        config.setSystemId("cloudhopper");
        config.setMaxConnectionSize(50);
        config.setBindTimeout(5000);
        config.setDefaultWindowSize(number(args, 4, 4));
        config.setDefaultWindowWaitTimeout(5000);
        config.setDefaultRequestExpiryTimeout(5000);
        config.setDefaultWindowMonitorInterval(1000);
        var server = new DefaultSmppServer(
            config, centre.handler(), Executors.newCachedThreadPool(), Executors.newScheduledThreadPool(1));
        server.start();
        System.out.println("READY " + args[0]);
    }

    private static int number(String[] args, int index, int otherwise) {
        return args.length > index ? Integer.parseInt(args[index]) : otherwise;
    }

    private SmppServerHandler handler() {
        return new SmppServerHandler() {
            public void sessionBindRequested(Long id, SmppSessionConfiguration session, BaseBind bind)
                    throws SmppProcessingException {
                if (!user.equals(session.getSystemId())) {
                    throw new SmppProcessingException(SmppConstants.STATUS_INVSYSID);
                }
                if (!password.equals(session.getPassword())) {
                    throw new SmppProcessingException(SmppConstants.STATUS_INVPASWD);
                }
            }

            public void sessionCreated(Long id, SmppServerSession session, BaseBindResp answer) {
                session.serverReady(new Submits(session));
                sessions.add(session);
            }

            public void sessionDestroyed(Long id, SmppServerSession session) {
                sessions.remove(session);
                session.destroy();
            }
        };
    }

    private class Submits extends DefaultSmppSessionHandler {
        private final SmppServerSession session;
        private long second;
        private int inSecond;

        Submits(SmppServerSession session) {
            this.session = session;
        }

        @Override
        public PduResponse firePduRequestReceived(PduRequest request) {
            PduResponse response = request.createResponse();
            if (request instanceof SubmitSm) {
                take((SubmitSm) request, (SubmitSmResp) response);
            } else if (!(request instanceof EnquireLink || request instanceof Unbind)) {
                response.setCommandStatus(SmppConstants.STATUS_INVCMDID);
            }
            return response;
        }

        private void take(SubmitSm submit, SubmitSmResp response) {
            String destination = submit.getDestAddress().getAddress();
            byte[] text = submit.getShortMessage() == null ? new byte[0] : submit.getShortMessage();
            System.out.printf(
                "submit src=%s dst=%s esm=%02x dcs=%02x rd=%02x validity=%s sm=%s at=%d%n",
                submit.getSourceAddress().getAddress(), destination, submit.getEsmClass(), submit.getDataCoding(),
                submit.getRegisteredDelivery(), submit.getValidityPeriod(), HexUtil.toHexString(text),
                System.currentTimeMillis());
            long now = System.currentTimeMillis() / 1000;
            inSecond = now == second ? inSecond + 1 : 1;
            second = now;
            if (inSecond > ratePerS) {
                response.setCommandStatus(SmppConstants.STATUS_THROTTLED);
            } else if (destination.startsWith("999")) {
                response.setCommandStatus(Integer.parseInt(destination.substring(3), 16));
            } else {
                String id = Long.toString(ids.incrementAndGet());
                response.setMessageId(id);
                if ((submit.getRegisteredDelivery() & 3) == 1) {
                    timer.schedule(() -> receipt(submit, id), receiptMs, TimeUnit.MILLISECONDS);
                }
            }
        }

        private SmppServerSession receiver() {
            return sessions.stream().filter(one -> across && one != session).findAny().orElse(session);
        }

        private void receipt(SubmitSm submit, String id) {
            try {
                boolean good = !submit.getDestAddress().getAddress().startsWith("998");
                byte state = good ? SmppConstants.STATE_DELIVERED : SmppConstants.STATE_UNDELIVERABLE;
                var now = new DateTime();
                var receipt = new DeliveryReceipt(id, 1, good ? 1 : 0, now, now, state, good ? 0 : 11, "");
                var deliver = new DeliverSm();
                deliver.setEsmClass(SmppConstants.ESM_CLASS_MT_SMSC_DELIVERY_RECEIPT);
                deliver.setSourceAddress(submit.getDestAddress());
                deliver.setDestAddress(submit.getSourceAddress());
                deliver.setShortMessage(receipt.toShortMessage().getBytes(StandardCharsets.ISO_8859_1));
                byte[] named = (id + "\0").getBytes(StandardCharsets.ISO_8859_1);
                deliver.addOptionalParameter(new Tlv(SmppConstants.TAG_RECEIPTED_MSG_ID, named));
                deliver.addOptionalParameter(new Tlv(SmppConstants.TAG_MSG_STATE, new byte[] {state}));
                var taken = receiver().sendRequestPdu(deliver, 5000, false);
                taken.await();
                boolean acked = taken.isSuccess() && taken.getResponse().getCommandStatus() == SmppConstants.STATUS_OK;
                System.out.printf(
                    "receipt %s %s src=%s dst=%s sm=%s%n", acked ? "acked" : "refused", id,
                    submit.getSourceAddress().getAddress(), submit.getDestAddress().getAddress(),
                    HexUtil.toHexString(submit.getShortMessage()));
            } catch (Exception fault) {
                System.out.println("receipt failed " + fault);
            }
        }
    }
}
