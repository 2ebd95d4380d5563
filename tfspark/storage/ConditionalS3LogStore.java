package tfspark.delta;

import io.delta.storage.HadoopFileSystemLogStore;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Delta's log on S3, beside any number of other writers: a commit is a PUT that the store itself
 * refuses where the version is there (If-None-Match). Delta's own store for S3 looks first and then
 * writes, so it overwrites what another driver, or deltalake, committed in between.
 *
 * <p>Built by scripts/log_store.py.
 */
public class ConditionalS3LogStore extends HadoopFileSystemLogStore {
  public ConditionalS3LogStore(Configuration conf) {
    super(conf);
  }

  @Override
  public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration conf)
      throws IOException {
    FileSystem fs = path.getFileSystem(conf);
    if (!overwrite && fs.exists(path)) {
      throw new FileAlreadyExistsException(path.toString());
    }
    FSDataOutputStreamBuilder<?, ?> builder = fs.createFile(path).overwrite(overwrite).recursive();
    if (!overwrite) {
      builder.must("fs.option.create.conditional.overwrite", true);
    }
    FSDataOutputStream out = builder.build();
    try {
      while (actions.hasNext()) {
        out.write((actions.next() + "\n").getBytes(StandardCharsets.UTF_8));
      }
      out.close();
    } catch (IOException error) {
      String said = String.valueOf(error.getMessage());
      boolean changed = error.getClass().getSimpleName().equals("RemoteFileChangedException");
      if (!overwrite && (changed || said.contains("412"))) {
        FileAlreadyExistsException there = new FileAlreadyExistsException(path.toString());
        there.initCause(error);
        throw there;
      }
      throw error;
    }
  }

  @Override
  public Boolean isPartialWriteVisible(Path path, Configuration conf) {
    return false;
  }
}
