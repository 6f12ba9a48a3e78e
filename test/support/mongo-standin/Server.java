import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.util.List;
import java.util.Set;
import org.h2.mvstore.MVStore;

/**
 * A stand-in for MongoDB where none can be had: mongo-java-server on a file. Arguments: the file, and the port (0: any).
 * Prints the port when it listens and ends when its standard input does, so that it never outlives the test that started it.
 */
public class Server {
  private static final Set<String> WRITES = Set.of("insert", "update", "delete", "findAndModify", "create", "createIndexes", "dropDatabase", "drop");

  public static void main(String[] args) throws Exception {
    // Its own background commit would lose what it has acknowledged when it is killed.
    MVStore file = new MVStore.Builder().fileName(args[0]).autoCommitDisabled().open();
    H2Backend backend = new H2Backend(file) {
      @Override
      public Document handleMessage(MongoMessage message) {
        // One command at a time, so that no commit catches a write halfway between data and index; and a copy of the answer, as the
        // documents in it are the stored ones, which the next command may change before they are sent.
        synchronized (this) {
          Document answer = super.handleMessage(message);
          if (WRITES.contains(message.getDocument().keySet().iterator().next())) commit();
          return answer.cloneDeeply();
        }
      }
    };
    backend.version(new MongoVersion() {
      public List<Integer> getVersionArray() { return List.of(5, 0, 0); }
      public int getWireVersion() { return 13; }
    });
    MongoServer server = new MongoServer(backend);
    server.bind("127.0.0.1", Integer.parseInt(args[1]));
    System.out.println(server.getLocalAddress().getPort());
    while (System.in.read() != -1) {}
    server.shutdownNow();
  }
}
